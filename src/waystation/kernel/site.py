"""Under which addresses this hub is reached."""

import psutil

from waystation.kernel.settings import Settings

EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104
NOT_FOR_OTHERS = ("127.", "172.17.", "169.254.")


def public_url(settings: Settings) -> str:
    """As people and devices on this network reach the hub, without a slash at the end."""
    host = settings.host if settings.host not in EVERYWHERE else _first_address()
    return settings.public_url.rstrip("/") or f"http://{_bracketed(host)}:{settings.port}"


def local_url(settings: Settings) -> str:
    """As this machine itself reaches the hub."""
    host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host
    return f"http://{_bracketed(host)}:{settings.port}"


def _first_address() -> str:
    """This machine's first IPv4 address that others can reach."""
    up = [name for name, state in psutil.net_if_stats().items() if state.isup]
    found = [
        address.address
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if name in up and address.family.name == "AF_INET" and not address.address.startswith(NOT_FOR_OTHERS)
    ]
    return found[0] if found else "127.0.0.1"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
