"""A Wi-Fi station that comes back. Boards only: other machines have no `network`.

`keep` never ends: it connects, looks every two seconds whether the link still stands, and after a loss tries again,
with pauses that grow to a minute. Everything else may simply fail meanwhile and try again: readings wait in flash.
"""

import asyncio

import network

_PATIENCE_SECONDS = 20
_LONGEST_PAUSE_SECONDS = 60


async def keep(ssid, password, *, hostname=None, heard=None):
    """`heard(is_connected)` is called at every change."""
    if hostname:
        network.hostname(hostname)
    station = network.WLAN(network.STA_IF)
    pause = 1
    while True:
        if await connect(station, ssid, password):
            pause = 1
            _tell(heard, True)
            while station.isconnected():
                await asyncio.sleep(2)
            _tell(heard, False)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


async def connect(station, ssid, password):
    """Whether the link stands after at most twenty seconds. The radio is switched off and on before: some need it."""
    station.active(False)
    station.active(True)
    try:
        station.connect(ssid, password)
    except OSError:
        return False
    for _ in range(_PATIENCE_SECONDS * 2):
        if station.isconnected():
            return True
        await asyncio.sleep(0.5)
    return False


def _tell(heard, is_connected):
    if heard is not None:
        heard(is_connected)
