from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.site import Site, standing_site

from waystation import devices
from waystation.devices.ending import warn_of_ending_keys
from waystation.homes import Home
from waystation.kernel import mail
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.db import Tx


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standing_site(tmp_path) as made:
        yield made


def letters(site: Site) -> list[str]:
    with site.database.read() as tx:
        return sorted(one.letter.to for one in mail.waiting(tx))


def sweep(site: Site) -> None:
    """The site may have swept by itself: what counts is what was written."""
    with site.database.write() as tx:
        warn_of_ending_keys(tx, site.clock.now())


def home_of(site: Site, email: str) -> Home:
    home = site.home()
    site.somebody(home, email=email)
    return home


def key_in(tx: Tx, site: Site, home: Home, days: float) -> devices.Device:
    made = devices.register(tx, COMMAND_LINE, home.id, site.clock.now(), name="Hall", days=days)
    return devices.find(tx, home.id, made.key)


def key_for(site: Site, days: float, email: str) -> devices.Device:
    home = home_of(site, email)
    with site.database.write() as tx:
        return key_in(tx, site, home, days)


def test_owners_are_told_once_of_a_key_that_ends_within_thirty_days__TH_11(site: Site) -> None:
    key_for(site, 29, "soon@example.org")
    key_for(site, 365, "late@example.org")
    sweep(site)
    assert letters(site) == ["soon@example.org"]
    sweep(site)
    assert letters(site) == ["soon@example.org"]
    site.clock.turn(timedelta(days=336).total_seconds())
    sweep(site)
    assert letters(site) == ["late@example.org", "soon@example.org"]


def test_nobody_is_told_of_a_key_that_has_a_successor_or_was_revoked__TH_11(site: Site) -> None:
    first, second = home_of(site, "a@example.org"), home_of(site, "b@example.org")
    with site.database.write() as tx:
        now = site.clock.now()
        replaced, revoked = key_in(tx, site, first, 20), key_in(tx, site, second, 20)
        key = devices.credentials(tx, replaced.id)[0]
        devices.rotate(tx, COMMAND_LINE, replaced, now, credential_id=key.id)
        devices.revoke(tx, COMMAND_LINE, revoked, now)
    sweep(site)
    assert letters(site) == []


def test_the_letter_is_about_the_device(site: Site) -> None:
    key_for(site, 10, "soon@example.org")
    sweep(site)
    with site.database.read() as tx:
        assert [one.letter.subject for one in mail.waiting(tx)] == ["The API key of Hall ends soon"]
