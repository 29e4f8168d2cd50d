from contextlib import suppress

from waystation.kernel import audit
from waystation.kernel.audit import COMMAND_LINE, Actor
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database

ANN = Actor("person:ann@example.org", "192.0.2.7")


class Undone(Exception):
    """The transaction is rolled back."""


def test_a_deed_is_noted_with_who_what_when_and_from_where(database: Database) -> None:
    now = ManualClock().now()
    with database.write() as tx:
        audit.note(tx, ANN, "renamed a device", "device:abc", now=now, name="Küche", before=None)
    with database.read() as tx:
        row = tx.first(audit.audit.select())
    assert row is not None
    assert (row.who, row.ip, row.did, row.on) == (
        "person:ann@example.org",
        "192.0.2.7",
        "renamed a device",
        "device:abc",
    )
    assert (row.at, row.detail) == (now, {"name": "Küche", "before": None})


def test_the_command_line_has_no_address(database: Database) -> None:
    with database.write() as tx:
        audit.note(tx, COMMAND_LINE, "revoked", "device:abc", now=ManualClock().now())
    with database.read() as tx:
        row = tx.first(audit.audit.select())
    assert row is not None
    assert (row.who, row.ip) == ("command line", None)


def test_a_deed_that_did_not_happen_leaves_no_note__G_11(database: Database) -> None:
    with suppress(Undone), database.write() as tx:
        audit.note(tx, ANN, "deleted a device", "device:abc", now=ManualClock().now())
        raise Undone
    with database.read() as tx:
        assert tx.first(audit.audit.select()) is None
