"""Two looks at the same time write a change down once."""

from waystation import devices
from waystation.dashboard.activity import store
from waystation.homes import the_home
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.db import Database
from waystation.messages.tests.house import NOON


def test_only_one_look_notes_a_change(database: Database) -> None:
    with database.write() as tx:
        home_id = the_home(tx, NOON).id
        made = devices.register(tx, COMMAND_LINE, home_id, NOON, name="Porch")
        device_id = devices.find(tx, home_id, made.key).id
    noted = []
    for change in (store.fall_silent, store.come_online, store.fall_silent, store.come_online):
        for _ in range(2):
            with database.write() as tx:
                noted.append(change(tx, device_id))
    assert noted == [False, False, True, False, True, False, True, False]
