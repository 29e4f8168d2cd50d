"""Commands for programs, through the front door."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.site import Answer, Site, Somebody, Thing, standing_site

from waystation import devices
from waystation.homes import Role
from waystation.kernel.audit import COMMAND_LINE

COMMANDS = "/api/commands"


class House:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.home = site.home()
        self.admin, self.user = site.somebody(self.home, Role.ADMIN), site.somebody(self.home, Role.USER)
        self.viewer, self.stranger = site.somebody(self.home, Role.VIEWER), site.somebody(site.home("Other"))
        self.porch, self.cellar = site.device(self.home), site.device(self.home, "Cellar")

    def ask(self, method: str, path: str, body: Any = b"", who: Somebody | None = None) -> Answer:
        return self.site.ask(method, path, (who or self.user).authorization, body)

    def send(self, name: str = "ping", to: Any = None, **wanted: Any) -> Any:
        answer = self.ask("POST", COMMANDS, {"to": to or {"devices": [self.porch.key]}, "name": name, **wanted})
        assert answer.status == 201, answer.body
        return answer.json

    def poll(self, device: Thing) -> Any:
        return self.site.ask("GET", "/api/commands/next", device.authorization).json["command"]

    def say(self, device: Thing, uid: str, state: str, **more: Any) -> None:
        body = {"id": uid, "state": state, **more}
        assert self.site.ask("POST", "/api/commands/outcome", device.authorization, body).status == 200


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with standing_site(tmp_path) as site:
        yield House(site)


def test_a_batch_is_seen_to_move(house: House) -> None:
    made = house.send(to={"home": True}, parameters={"a": [1, None]}, priority=9)
    assert made["progress"] == {
        **dict.fromkeys(("delivered", "done", "failed", "expired", "cancelled", "gone"), 0),
        "total": 2,
        "waiting": 2,
    }
    taken = house.poll(house.porch)
    house.say(house.porch, taken["id"], "done", result={"ok": True})
    batch = house.ask("GET", f"/api/batches/{made['id']}", who=house.viewer).json
    assert (batch["progress"]["done"], batch["progress"]["waiting"], batch["is_over"]) == (1, 1, False)
    one = house.ask("GET", f"{COMMANDS}/{taken['id']}", who=house.viewer).json
    assert (one["state"], one["result"], one["device"]) == ("done", {"ok": True}, house.porch.key)
    assert [line["what"] for line in one["history"]] == ["queued", "leased", "done"]
    assert one["history"][1]["link"] == "http"


def test_who_looks_may_not_send_and_strangers_see_nothing(house: House) -> None:
    made = house.send()
    wanted = {"to": {"home": True}, "name": "ping"}
    assert house.ask("POST", COMMANDS, wanted, house.viewer).status == 403
    uid = made["commands"][0]["id"]
    for method, path in (
        ("GET", f"{COMMANDS}/{uid}"),
        ("POST", f"{COMMANDS}/{uid}/cancel"),
        ("GET", f"/api/batches/{made['id']}"),
        ("POST", f"/api/batches/{made['id']}/retry"),
    ):
        assert house.ask(method, path, who=house.stranger).status == 404
    theirs = {"to": {"devices": [house.porch.key]}, "name": "ping"}
    assert house.ask("POST", COMMANDS, theirs, house.stranger).status == 404
    assert house.ask("GET", COMMANDS, who=house.stranger).json == {"commands": [], "next": None}


def test_sent_twice_under_one_key_it_is_one_batch(house: House) -> None:
    first = house.send(idempotency_key="k", expires_in_seconds=60)
    house.site.clock.turn(5)
    assert house.send(idempotency_key="k", expires_in_seconds=60)["id"] == first["id"]
    other = {"to": {"home": True}, "name": "ping", "idempotency_key": "k"}
    assert house.ask("POST", COMMANDS, other).status == 409


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"to": {}, "name": "ping"}, 400),
        ({"to": {"home": True, "tag": "a"}, "name": "ping"}, 400),
        ({"to": {"devices": ["nobody"]}, "name": "ping"}, 404),
        ({"to": {"home": True}, "name": "two words"}, 400),
        ({"to": {"home": True}, "name": "ping", "parameters": {"a": "x" * 9000}}, 400),
        ({"to": {"home": True}, "name": "ping", "parameters": {"a": 10**19}}, 400),
        ({"to": {"home": True}, "name": "ping", "parameters": [1]}, 422),
        ({"to": {"home": True}, "name": "ping", "priority": 10}, 422),
        ({"to": {"home": True}, "name": "ping", "expires_in_seconds": 0}, 422),
        ({"to": {"home": True}, "name": "ping", "not_before": "9999-01-01T00:00:00Z"}, 400),
    ],
)
def test_what_cannot_be_sent_is_refused_and_nothing_waits(house: House, wanted: Any, status: int) -> None:
    assert house.ask("POST", COMMANDS, wanted).status == status
    assert house.ask("GET", COMMANDS).json["commands"] == []


def test_commands_are_listed_page_by_page(house: House) -> None:
    for name in "abcde":
        house.send(name)
    house.send("a", {"devices": [house.cellar.serial]})
    first = house.ask("GET", f"{COMMANDS}?device={house.porch.key}&limit=3").json
    second = house.ask("GET", f"{COMMANDS}?device={house.porch.key}&limit=3&before={first['next']}").json
    assert [one["name"] for one in first["commands"] + second["commands"]] == list("edcba")
    assert second["next"] is None
    assert len(house.ask("GET", f"{COMMANDS}?name=a&state=queued").json["commands"]) == 2
    assert len(house.ask("GET", "/api/batches?limit=4").json["batches"]) == 4


def test_what_failed_is_sent_again_and_what_waits_is_cancelled(house: House) -> None:
    made = house.send(to={"home": True})
    taken = house.poll(house.porch)
    house.say(house.porch, taken["id"], "failed", result="no")
    assert house.ask("POST", f"/api/batches/{made['id']}/cancel").json == {"cancelled": 1}
    again = house.ask("POST", f"/api/batches/{made['id']}/retry").json
    assert (again["total"], again["retry_of"]) == (2, made["id"])
    one = house.ask("POST", f"{COMMANDS}/{taken['id']}/retry")
    assert (one.status, one.json["retry_of"]) == (201, taken["id"])
    assert house.ask("POST", f"{COMMANDS}/{taken['id']}/cancel").status == 409


def test_a_model_says_what_it_can_be_asked(house: House) -> None:
    schema = {
        "set-interval": {
            "type": "object",
            "required": ["seconds"],
            "properties": {"seconds": {"type": "integer", "minimum": 1}},
        },
        "reboot": {},
    }
    put = house.ask("PUT", "/api/models", {"name": "esp32", "command_schema": schema}, house.admin)
    assert (put.status, put.json["command_schema"]) == (200, schema)
    assert house.ask("PUT", "/api/models", {"name": "esp32", "command_schema": {}}, house.user).status == 403
    _rename(house, "esp32")
    house.send("set-interval", parameters={"seconds": 5})
    for name, parameters, why in (
        ("set-interval", {"seconds": 0}, "less than the minimum"),
        ("set-interval", None, "required property"),
        ("blink", None, "does not know blink"),
    ):
        wanted = {"to": {"devices": [house.porch.key]}, "name": name, "parameters": parameters}
        refused = house.ask("POST", COMMANDS, wanted)
        assert refused.status == 400
        assert why in refused.json["detail"]
    assert house.ask("PUT", "/api/models", {"name": "esp32", "command_schema": None}, house.admin).status == 200
    house.send("blink")
    assert house.ask("GET", "/api/models").json["models"] == [{"name": "esp32", "devices": 1, "command_schema": None}]


def _rename(house: House, model: str) -> None:
    with house.site.database.write() as tx:
        porch = devices.find(tx, house.home.id, house.porch.key)
        devices.rename(tx, COMMAND_LINE, porch, house.site.clock.now(), name=porch.name, model_text=model)


@pytest.mark.parametrize(
    "schema",
    [
        {"a b": {}},
        {"ping": {"$ref": "#"}},
        {"ping": {"type": "nonsense"}},
        {"ping": {"properties": {"a": {"pattern": "(a+)+$"}}}},
        {"ping": 7},
        {"ping": {"description": "x" * 40_000}},
    ],
)
def test_a_schema_that_is_none_or_could_keep_the_hub_busy_is_refused(house: House, schema: Any) -> None:
    assert house.ask("PUT", "/api/models", {"name": "esp32", "command_schema": schema}, house.admin).status == 400


def test_tags_are_given_and_taken(house: House) -> None:
    tags = f"/api/devices/{house.porch.key}/tags"
    assert house.ask("PUT", f"{tags}/Garden", who=house.admin).json == {"tags": ["garden"]}
    assert house.ask("PUT", f"{tags}/garden", who=house.user).status == 403
    assert house.send(to={"tag": "Garden"})["total"] == 1
    assert house.ask("GET", "/api/tags", who=house.viewer).json == {"tags": {"garden": 1}}
    assert house.ask("DELETE", f"{tags}/garden", who=house.admin).json == {"tags": []}
    assert house.ask("PUT", f"{tags}/two words", who=house.admin).status == 400
