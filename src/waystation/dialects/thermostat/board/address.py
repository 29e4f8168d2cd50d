"""A device's own address on its network, as a person types it."""

import ipaddress
import re

from waystation.kernel.errors import Invalid

NAME = re.compile(r"(?=.{1,100}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.local", re.IGNORECASE)
PORT = re.compile(r"[1-9]\d{0,4}")
MOST_PORT = 65535
SENTENCE = "type the address that the thermostat shows, such as 192.168.1.50 or thermostat.local"


def check(typed: str) -> str:
    """As it stands in a link after `http://`. Invalid unless it is a private address or a name that ends in `.local`:
    a key is never put into a link that leads out of the house.
    """
    host, port = _apart(typed.strip())
    if port and (not PORT.fullmatch(port) or int(port) > MOST_PORT):
        raise Invalid(SENTENCE)
    return f"{_host(host)}{f':{port}' if port else ''}"


def _apart(text: str) -> tuple[str, str]:
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port or "0"  # refused: a colon announces a port
    return text, ""


def _host(text: str) -> str:
    if NAME.fullmatch(text):
        return text.lower()
    try:
        found = ipaddress.ip_address(text)
    except ValueError as fault:
        raise Invalid(SENTENCE) from fault
    scoped = isinstance(found, ipaddress.IPv6Address) and found.scope_id
    if not found.is_private or found.is_unspecified or found.is_multicast or scoped:
        raise Invalid(f"{text[:60]} is no address of a private network; {SENTENCE}")
    return f"[{found}]" if found.version == 6 else str(found)


def is_private(text: str | None) -> bool:
    try:
        return bool(text and check(text))
    except Invalid:
        return False
