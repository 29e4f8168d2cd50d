"""A thermometer: a reading every half minute, two commands, its configuration from a sync package.

Put it on the board as main.py, with the package `waystation`, and write your Wi-Fi, hub and claim code below.
"""

import asyncio
import json

import machine
from waystation.node import Node

from waystation import wifi

SSID, PASSWORD = "…", "…"
HUB = "http://192.168.1.10:8420"
CLAIM_CODE = "…"  # from the hub's page Devices, Add a device; of no use afterwards

seconds = 30
led = machine.Pin(2, machine.Pin.OUT)
sensor = machine.ADC(0)


def on_set_interval(parameters):
    global seconds
    was, seconds = seconds, max(1, int(parameters["seconds"]))
    return {"was": was}


async def on_blink(parameters):
    for _ in range(6):
        led.value(not led.value())
        await asyncio.sleep(0.25)


def check_config(folder):
    """Refuses a package whose config.json cannot be read: then the one before stays in use."""
    with open(folder + "/config.json") as file:
        json.load(file)


async def measure(node):
    while True:
        node.record({"voltage_v": sensor.read_u16() * 3.3 / 65535})
        await asyncio.sleep(seconds)


async def main():
    node = Node(HUB, code=CLAIM_CODE, name="thermometer", model="esp32-adc", reboot=machine.reset)
    node.commands.on("set-interval", on_set_interval, again=True)
    node.commands.on("blink", on_blink, again=True)
    node.packages.on("config", check_config)
    node.log("started")
    await asyncio.gather(wifi.keep(SSID, PASSWORD), node.run(), measure(node))


asyncio.run(main())
