"""What identifies this machine itself: model, serial number, network address, name."""

import platform
import re
from pathlib import Path

DEVICE_TREE = Path("/proc/device-tree")
DMI = Path("/sys/class/dmi/id")
NETWORK = Path("/sys/class/net")
NO_SERIAL = {"", "0", "none", "default string", "to be filled by o.e.m.", "not specified", "system serial number"}


def name() -> str:
    return platform.node().partition(".")[0] or "unnamed"


def model() -> str:
    """Return `Raspberry Pi Zero 2 W Rev 1.0`, a PC's product name, or at least system and processor."""
    return _text(DEVICE_TREE / "model") or _text(DMI / "product_name") or f"{platform.system()} {platform.machine()}"


def external_ids() -> dict[str, str]:
    """Return `serial` and `mac`, each only where the hardware really has one."""
    found = {"serial": serial(), "mac": mac()}
    return {kind: value for kind, value in found.items() if value}


def serial() -> str | None:
    text = _text(DEVICE_TREE / "serial-number") or _text(DMI / "product_serial")
    return None if text.lower() in NO_SERIAL or set(text) == {"0"} else text


def mac(network: Path = NETWORK) -> str | None:
    """Return the address of the first real network card; containers, tunnels and bridges have none (JR-A13)."""
    for card in sorted(network.glob("*/device")):
        address = _text(card.parent / "address").lower()
        if re.fullmatch(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", address) and address != "00:00:00:00:00:00":
            return address
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip(" \t\r\n\0")
    except OSError:
        return ""
