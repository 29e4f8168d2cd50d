"""Which addresses a notice may be sent to: the internet, and of what is not internet only what the site allows."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from waystation.kernel.outbox import GiveUp, NotSent

Address = IPv4Address | IPv6Address
NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
NOBODYS = ip_network("0.0.0.0/8")
BROADCAST = ip_address("255.255.255.255")
METADATA = frozenset(
    # Where clouds keep a machine's own secrets, beside 169.254.169.254, which is link-local.
    ip_address(text)
    for text in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a connection goes: the address that was checked, and the name by which the other side is known."""

    name: str
    address: str
    port: int
    family: int


def may_reach(address: Address, networks: Sequence[str]) -> bool:
    """Whether it is on the internet or in one of the networks. Link-local and a cloud's metadata it never may."""
    inner = _inner(address)
    if _is_never(address) or _is_never(inner):
        return False
    if any(inner in ip_network(network) for network in networks):
        return True
    return inner.is_global and not inner.is_reserved and not getattr(inner, "is_site_local", False)


def _is_never(address: Address) -> bool:
    nowhere = address.is_unspecified or address.is_multicast or address == BROADCAST or address in NOBODYS
    return nowhere or address.is_link_local or address in METADATA


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, by whichever of the ways."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if address.teredo:
        return address.teredo[1]
    compatible = int(address) >> 32 == 0 and int(address) > 1
    if compatible or any(address in network for network in NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def refusal(host: str) -> str:
    return (
        f"{host} is no address on the internet and in no network that this site sends notices into"
        " (setting webhook_private_networks)"
    )


def literal(host: str) -> Address | None:
    """The address when the host is written as one."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def find(host: str, port: int, networks: Sequence[str]) -> Target:
    """The first of its addresses that may be reached. GiveUp when it has none such, NotSent when nobody knows it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise NotSent(f"the name {host} cannot be looked up now: {fault}") from fault
    for family, _type, _protocol, _name, where in found:
        address = str(where[0])
        if may_reach(ip_address(address), networks):
            return Target(host, address, port, family)
    raise GiveUp(refusal(host))


def connect(target: Target, timeout_seconds: float) -> socket.socket:
    """To the checked address itself: the name is not looked up a second time, when it might mean another."""
    return socket.create_connection((target.address, target.port), timeout_seconds)
