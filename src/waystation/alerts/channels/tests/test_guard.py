"""Where notices may go: a person of a home cannot make the site talk to itself or to its neighbours."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.alerts.channels import guard, outward
from waystation.kernel.errors import Invalid
from waystation.kernel.outbox import GiveUp
from waystation.kernel.settings import PRIVATE_NETWORKS

NEVER = (
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "169.254.169.254",
    "169.254.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fe80::1",
    "ff02::1",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
)
OF_THIS_MACHINE = (
    "127.0.0.1",
    "127.8.9.1",
    "::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::127.0.0.1",
)
PRIVATE = ("10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:192.168.1.1", "64:ff9b::a00:1")
RESERVED = ("240.0.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.9", "2001:db8::1", "fec0::1")
INTERNET = ("1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1")


@pytest.mark.parametrize("text", [*NEVER, *OF_THIS_MACHINE, *PRIVATE, *RESERVED])
def test_a_cloud_reaches_only_the_internet(text: str) -> None:
    assert not guard.may_reach(ip_address(text), ())


@pytest.mark.parametrize("text", INTERNET)
def test_the_internet_is_reached_from_everywhere(text: str) -> None:
    assert guard.may_reach(ip_address(text), ())
    assert guard.may_reach(ip_address(text), PRIVATE_NETWORKS)


@pytest.mark.parametrize("text", PRIVATE)
def test_a_hub_reaches_the_house(text: str) -> None:
    assert guard.may_reach(ip_address(text), PRIVATE_NETWORKS)


@pytest.mark.parametrize("text", [*NEVER, *OF_THIS_MACHINE, *RESERVED])
def test_a_hub_reaches_neither_itself_nor_what_no_house_has(text: str) -> None:
    assert not guard.may_reach(ip_address(text), PRIVATE_NETWORKS)


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_cannot_be_allowed(text: str) -> None:
    assert not guard.may_reach(ip_address(text), ("0.0.0.0/0", "::/0"))


def test_whoever_runs_the_site_may_allow_this_very_machine() -> None:
    assert guard.may_reach(ip_address("127.0.0.1"), ("127.0.0.0/8",))
    assert guard.find("127.0.0.1", 80, ("127.0.0.0/8",)).address == "127.0.0.1"
    with pytest.raises(GiveUp, match="webhook_private_networks"):
        guard.find("localhost", 80, PRIVATE_NETWORKS)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_written_as_ipv6_is_treated_the_same(address: IPv4Address) -> None:
    mapped = IPv6Address(f"::ffff:{address}")
    assert guard.may_reach(mapped, PRIVATE_NETWORKS) == guard.may_reach(address, PRIVATE_NETWORKS)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http://[",
        "http://example.org:99999/",
        "http://user:password@example.org/",
        "http://example.org/#here",
        "http://exa mple.org/",
        "http://example.org/\r\nhost: other",
        "http://localhost:8000/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        f"http://example.org/{'x' * 2000}",
    ],
)
def test_an_address_that_could_never_be_sent_to_is_refused_when_it_is_typed(url: str) -> None:
    with pytest.raises(Invalid):
        outward.check_url(url, PRIVATE_NETWORKS)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "017700000001"])
def test_other_spellings_of_this_machine_are_found_out_when_they_are_looked_up(host: str) -> None:
    with pytest.raises((GiveUp, guard.NotSent)):
        guard.find(host, 80, PRIVATE_NETWORKS)
