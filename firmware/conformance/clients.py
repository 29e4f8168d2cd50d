"""Every client that the scenarios are run with."""

from firmware.conformance.agent import Agent
from firmware.conformance.arduino import Arduino
from firmware.conformance.client import Client
from firmware.conformance.micropython import MicroPython

CLIENTS: tuple[type[Client], ...] = (Agent, Arduino, MicroPython)
