"""Notices that were given up, seen and sent again over the API by admins only."""

import asyncio
from pathlib import Path

from waystation import alerts
from waystation.alerts import channels
from waystation.alerts.channels import sending, store
from waystation.alerts.notice import Notice
from waystation.alerts.tests.test_api import token
from waystation.kernel.db import Database
from waystation.kernel.feature import Feature
from waystation.kernel.outbox import Courier, GiveUp, Sender
from waystation.telemetry.tests.house import House, house

FEATURE = Feature(name="alerts", routes=alerts.feature.routes[1:2])
LIST = "/api/alerts/deliveries"


def give_up_one(home: House) -> None:
    def refuse(_subject: str, _body: bytes) -> None:
        raise GiveUp("nobody lives there any more")

    now = home.clock.now()
    with home.database.write() as tx:
        console = {"kind": "console", "name": "log", "config": {}, "sealed": None, "is_enabled": True}
        store.add(tx, home.home_id, now, **console)
        channels.put(tx, now, Notice(home.home_id, None, "away", "The hub was away", (), "one"))
    sender = Sender(refuse, settled=sending.note)
    Courier(home.database, home.clock, {channels.OUTBOX: sender}, may_send=lambda: True).deliver()


def test_what_was_given_up_is_sent_again_by_an_admin_only(database: Database, tmp_path: Path) -> None:
    async def journey() -> None:
        async with house(database, tmp_path, FEATURE) as home:
            give_up_one(home)
            user = token(home, "user")
            assert (await home.client.get(LIST, headers=user)).status_code == 403
            (found,) = (await home.client.get(LIST, headers=home.owner)).json()
            assert (found["state"], found["fault"]) == ("given up", "nobody lives there any more")
            again = f"{LIST}/{found['id']}/again"
            assert (await home.client.post(again, headers=user)).status_code == 403
            assert (await home.client.post(again, headers=home.owner)).json()["state"] == "waiting"
            twice = await home.client.post(again, headers=home.owner)
            assert (twice.status_code, twice.json()["detail"][:31]) == (409, "this notice was not given up: i")
            assert (await home.client.post(f"{LIST}/99/again", headers=home.owner)).status_code == 404
            assert (await home.client.post(f"{LIST}/{10**30}/again", headers=home.owner)).status_code in (404, 422)

    asyncio.run(journey())
