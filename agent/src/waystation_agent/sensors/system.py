"""The machine itself: uptime, memory, processor, temperature, disk, network, load."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from shutil import which

import psutil

from waystation_agent.sensors import Unreadable
from waystation_agent.sensors.program import run

THERMAL = Path("/sys/class/thermal")
NETWORK = Path("/sys/class/net")
CPU_CHIPS = ("cpu_thermal", "cpu-thermal", "soc_thermal", "coretemp", "k10temp", "zenpower")
CPU_ZONES = ("cpu", "soc", "x86_pkg", "bcm2835")
VENDOR_TOOL = ("vcgencmd", "measure_temp")
VENDOR_TOOL_SECONDS = 2.0
UNREADABLE = (Unreadable, OSError, ValueError, KeyError, IndexError, AttributeError, psutil.Error)

Values = dict[str, float]


class SystemSensor:
    """The machine itself: uptime, memory, processor, temperature, disk, network, load.

    Rates and the processor's share cover the time since the previous call; the first call has none of them.
    """

    def __init__(self) -> None:
        self._network = NetworkRates()
        self._processor = ProcessorShare()
        self._parts: tuple[Callable[[], Values], ...] = (
            uptime,
            memory,
            self._processor,
            cpu_temperature,
            disk,
            self._network,
            load,
        )

    def read(self) -> Values:
        values: Values = {}
        faults: list[str] = []
        for part in self._parts:
            try:
                values |= part()
            except UNREADABLE as error:
                faults.append(f"{getattr(part, '__name__', type(part).__name__)}: {error or type(error).__name__}")
        if faults:
            raise Unreadable("; ".join(faults), values)
        return values


def uptime() -> Values:
    return {"uptime_seconds": round(time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)), 1)}


def memory() -> Values:
    found = psutil.virtual_memory()
    return {
        "memory_total_bytes": found.total,
        "memory_available_bytes": found.available,
        "memory_percent": found.percent,
    }


def disk() -> Values:
    found = psutil.disk_usage("/")
    return {"disk_percent": found.percent, "disk_free_bytes": found.free}


def load() -> Values:
    return {"load_1m": round(os.getloadavg()[0], 2)}


def cpu_temperature() -> Values:
    """Ask the kernel, or where it does not tell, the tool that Raspberry Pi's makers ship (JR-A15)."""
    temperature = _chip_temperature()
    if temperature is None:
        temperature = zone_temperature(THERMAL)
    if temperature is None:
        temperature = tool_temperature(VENDOR_TOOL)
    return {} if temperature is None else {"cpu_temperature_c": round(temperature, 1)}


def _chip_temperature() -> float | None:
    try:
        chips = psutil.sensors_temperatures()
    except UNREADABLE:
        return None
    found = (chip.current for name in CPU_CHIPS for chip in chips.get(name, ()))
    return next(filter(_is_plausible, found), None)


def zone_temperature(thermal: Path) -> float | None:
    """Return the processor's temperature from the kernel's thermal files, which count in thousandths of a degree."""
    for zone in sorted(thermal.glob("thermal_zone*")):
        try:
            kind = (zone / "type").read_text().strip().lower()
            temperature = int((zone / "temp").read_text()) / 1_000
        except UNREADABLE:
            continue
        if kind.startswith(CPU_ZONES) and _is_plausible(temperature):
            return temperature
    return None


def tool_temperature(command: tuple[str, ...]) -> float | None:
    """Return what a tool prints as `temp=48.3'C`; None where there is no such tool."""
    if which(command[0]) is None:
        return None
    status, said, complained = run(command, VENDOR_TOOL_SECONDS)
    found = re.fullmatch(r"temp=(\d+(?:\.\d+)?)'C", said.strip())
    if status or not found:
        raise Unreadable(f"{command[0]} answered {(complained or said).strip()[:80]!r}")
    return float(found[1]) if _is_plausible(float(found[1])) else None


def _is_plausible(temperature_c: float) -> bool:
    """Sort out the constants that broken or powered-down sensors answer (-274, 0, 255)."""
    return -60 < temperature_c < 150 and temperature_c != 0


class ProcessorShare:
    def __init__(self) -> None:
        self._before = spent_seconds()

    def __call__(self) -> Values:
        before, self._before = self._before, spent_seconds()
        idle_seconds, all_seconds = (now - then for now, then in zip(self._before, before, strict=True))
        if all_seconds <= 0:
            return {}
        return {"cpu_percent": round(100 * min(1.0, max(0.0, 1 - idle_seconds / all_seconds)), 1)}


def spent_seconds() -> tuple[float, float]:
    """Return how long all processors together were idle, and how long they were on at all."""
    times = psutil.cpu_times()._asdict()
    idle_seconds = times["idle"] + times.get("iowait", 0.0)
    # The kernel counts the time of a guest in user and nice already.
    return idle_seconds, sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)


class NetworkRates:
    """Bytes per second over all real network cards, without the loopback and what runs through a card twice."""

    def __init__(self) -> None:
        self._before: tuple[float, dict[str, tuple[int, int]]] = (time.monotonic(), _counters())

    def __call__(self) -> Values:
        before_seconds, before = self._before
        now_seconds, now = time.monotonic(), _counters()
        self._before = (now_seconds, now)
        return rates(before, now, now_seconds - before_seconds)


def rates(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]], seconds: float) -> Values:
    """Return the rates over the cards seen both times; nothing if a counter went back, for that card was reset."""
    grown = [(now[card][0] - before[card][0], now[card][1] - before[card][1]) for card in now.keys() & before.keys()]
    if not grown or seconds <= 0 or any(received < 0 or sent < 0 for received, sent in grown):
        return {}
    return {
        "net_received_bytes_per_second": round(sum(received for received, _ in grown) / seconds, 1),
        "net_sent_bytes_per_second": round(sum(sent for _, sent in grown) / seconds, 1),
    }


def _counters() -> dict[str, tuple[int, int]]:
    found = psutil.net_io_counters(pernic=True)
    cards = {name: (count.bytes_recv, count.bytes_sent) for name, count in found.items() if name != "lo"}
    real = {name: counts for name, counts in cards.items() if (NETWORK / name / "device").exists()}
    return real or cards  # in a container no card is real, yet its traffic is
