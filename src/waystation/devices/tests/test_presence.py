from datetime import timedelta

import pytest

from waystation import devices
from waystation.devices import Provisioned
from waystation.devices.tests.registry import Registry

ONLINE_SECONDS = 60


def presence(site: Registry, made: Provisioned) -> str:
    return site.device(made).presence(site.clock.now(), ONLINE_SECONDS)


def see(site: Registry, made: Provisioned, *, seconds_ago: float = 0, ip: str | None = "192.0.2.7") -> None:
    at = site.clock.now() - timedelta(seconds=seconds_ago)
    device = site.device(made)
    with site.database.write() as tx:
        devices.seen(tx, [(device.id, at, ip)])


def test_a_device_that_never_called_is_not_called_offline__G_15(site: Registry) -> None:
    assert presence(site, site.register()) == "never"


@pytest.mark.parametrize(("seconds", "word"), [(0, "online"), (60, "online"), (60.001, "offline"), (1e6, "offline")])
def test_online_is_judged_by_the_last_traffic__G_15(site: Registry, seconds: float, word: str) -> None:
    made = site.register()
    see(site, made)
    site.clock.turn(seconds)
    assert presence(site, made) == word


def test_a_disabled_device_is_that_and_nothing_else(site: Registry) -> None:
    made = site.register()
    see(site, made)
    site.change(made, devices.disable)
    assert presence(site, made) == "disabled"
    site.change(made, devices.enable)
    assert presence(site, made) == "online"


def test_a_late_writer_does_not_turn_the_last_traffic_back(site: Registry) -> None:
    made = site.register()
    see(site, made, ip="192.0.2.8")
    see(site, made, seconds_ago=30, ip="192.0.2.9")
    found = site.device(made)
    assert (found.last_seen_at, found.last_ip) == (site.clock.now(), "192.0.2.8")


def test_traffic_without_an_address_keeps_the_last_one(site: Registry) -> None:
    made = site.register()
    see(site, made, seconds_ago=5)
    see(site, made, ip=None)
    assert site.device(made).last_ip == "192.0.2.7"


def test_each_device_of_a_batch_gets_its_own_time(site: Registry) -> None:
    made = [site.register(name) for name in ("A", "B", "C")]
    now = site.clock.now()
    rows = [(site.device(one).id, now + timedelta(seconds=n), f"192.0.2.{n}") for n, one in enumerate(made[:2], 1)]
    with site.database.write() as tx:
        devices.seen(tx, rows)
    assert [site.device(one).last_ip for one in made] == ["192.0.2.1", "192.0.2.2", None]
    assert [site.device(one).last_seen_at for one in made[:2]] == [at for _, at, _ in rows]
