"""Commands over a WebSocket, through the front door."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect
from tests.site import standing_site

from waystation import commands, devices
from waystation.commands import State
from waystation.commands.tests.house import House
from waystation.commands.tests.site import OWNER
from waystation.kernel.stopping import Stopping


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with standing_site(tmp_path) as site:
        yield House(site)


def opened(house: House, authorization: str = "") -> WebSocketTestSession:
    headers = {"authorization": authorization or house.porch.authorization}
    return house.site.client.websocket_connect("/api/commands/socket", headers=headers)


def outcome(uid: str, state: str, **more: Any) -> Any:
    return {"type": "outcome", "id": uid, "state": state, **more}


def test_the_next_command_comes_after_the_outcome_of_the_one_before(house: House) -> None:
    first, second = house.send("a", parameters={"n": 1}), house.send("b")
    with opened(house) as socket:
        told = socket.receive_json()
        assert (told["type"], told["id"], told["parameters"]) == ("command", first.uid, {"n": 1})
        socket.send_json(outcome(first.uid, "running", result="half"))
        assert socket.receive_json() == outcome(first.uid, "running")
        socket.send_json(outcome(first.uid, "done"))
        assert socket.receive_json() == outcome(first.uid, "done")
        assert socket.receive_json()["id"] == second.uid
        socket.send_json(outcome(second.uid, "rejected"))
        assert socket.receive_json()["state"] == "rejected"
        third = house.send("c")
        assert socket.receive_json()["id"] == third.uid
    assert house.seen(third).link == "websocket"


def test_what_is_no_outcome_is_a_problem_and_the_socket_stays(house: House) -> None:
    sent = house.send()
    with opened(house) as socket:
        assert socket.receive_json()["id"] == sent.uid
        for text in ("nonsense", "[]", '{"type":"command","id":"x","state":"done"}', '{"type":"outcome"}'):
            socket.send_text(text)
            problem = socket.receive_json()
            assert (problem["type"], problem["code"]) == ("problem", "invalid")
        socket.send_bytes(b"\xff\xfe")
        assert socket.receive_json()["code"] == "invalid"
        socket.send_json(outcome("unknown", "done"))
        assert socket.receive_json()["code"] == "not_found"
        socket.send_json(outcome(sent.uid, "done"))
        assert socket.receive_json()["state"] == "done"


def test_an_outcome_after_the_end_is_a_problem_and_evidence(house: House) -> None:
    sent = house.send()
    with opened(house) as socket:
        socket.receive_json()
        with house.site.database.write() as tx:
            commands.cancel(tx, OWNER, sent, house.site.clock.now())
        socket.send_json(outcome(sent.uid, "done"))
        assert socket.receive_json()["code"] == "conflict"
    assert house.seen(sent).state is State.CANCELLED


def test_strangers_get_a_problem_instead_of_a_socket(house: House) -> None:
    for authorization, status in (("Device x:" + "y" * 43, 403), ("nonsense", 401)):
        with pytest.raises(WebSocketDenialResponse) as refused, opened(house, authorization):
            pass
        assert refused.value.status_code == status
        assert refused.value.json()["status"] == status


def test_a_revoked_device_is_cut_off_at_once(house: House) -> None:
    with opened(house) as socket:
        house.send()
        socket.receive_json()
        with house.site.database.write() as tx:
            now = house.site.clock.now()
            devices.revoke(tx, OWNER, devices.find(tx, house.home.id, house.porch.key), now)
        with pytest.raises(WebSocketDisconnect) as ended:
            socket.receive_json()
        assert ended.value.code == 1008


def test_a_newer_socket_takes_the_older_ones_place(house: House) -> None:
    with opened(house) as older, opened(house) as newer:
        with pytest.raises(WebSocketDisconnect) as ended:
            older.receive_json()
        assert ended.value.code == 4000
        sent = house.send()
        assert newer.receive_json()["id"] == sent.uid


def test_sockets_are_let_go_when_the_process_stops(house: House) -> None:
    portal = house.site.client.portal
    assert portal is not None
    with opened(house) as socket:
        house.send()
        socket.receive_json()
        portal.call(house.site.parts.get(Stopping).begin)
        with pytest.raises(WebSocketDisconnect) as ended:
            socket.receive_json()
        assert ended.value.code == 1001


def test_a_poll_and_a_socket_of_one_device_do_not_end_each_other(house: House) -> None:
    with opened(house) as socket:
        held = house.begin_poll()
        sent = house.send(), house.send()
        ids = {socket.receive_json()["id"], held.result(30).json["command"]["id"]}
        assert ids == {one.uid for one in sent}
