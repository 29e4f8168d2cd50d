"""Which hub addresses the agent talks to: TLS anywhere, plain HTTP only where no stranger listens."""

import ipaddress
from urllib.parse import urlsplit

from waystation_agent.errors import BadInput

DEFAULT_SERVER = "http://127.0.0.1:8000"


def parse_server(text: str) -> str:
    """Return the address in one normal form, without a slash at the end."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise BadInput(f"the server address {text!r} is not valid: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInput(f"the server address {text!r} must look like http://hub.local:8000 or https://hub.example.org")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadInput("the server address must have no user name, query or fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def is_on_site(ip: str) -> bool:
    """Tell whether an IP address is of this machine or a private network, so that plain HTTP stays on site."""
    address = ipaddress.ip_address(ip.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_private
