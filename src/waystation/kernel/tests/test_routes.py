from collections.abc import Iterator
from typing import Annotated

import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Request
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from waystation.kernel import faults, routes
from waystation.kernel.calls import Connection
from waystation.kernel.clock import Clock, ManualClock, iso
from waystation.kernel.db import Database
from waystation.kernel.errors import Conflict, Unauthenticated
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Call, Now, PartsOf, Router, Tx, Within, part, who_may_call

noted = sa.Table("noted", sa.MetaData(), sa.Column("text", sa.Text))
router = Router()


def guest_name(connection: Connection) -> str:
    name = connection.headers.get("x-name")
    if name is None:
        raise Unauthenticated("say your name")
    return name


def guest(call: Call) -> str:
    name = guest_name(call.request)
    with call.writing() as tx:  # as a session notes its last use
        tx.execute(noted.insert().values(text=f"seen {name}"))
    return name


async def guest_ahead(connection: Connection) -> str:
    """The same without a transaction of the request."""
    return f"{guest_name(connection)}, found ahead"


Guest = Annotated[str, Within(guest, who="guest")]
GuestAhead = Annotated[str, Within(guest, who="guest", find_ahead=guest_ahead)]
TheClock = Annotated[ManualClock, part(ManualClock)]


@router.post("/notes/{text}")
def note(text: str, tx: Tx, fails: str = "") -> dict[str, str]:
    tx.execute(noted.insert().values(text=text))
    if fails == "on purpose":
        raise Conflict("it is there already")
    if fails:
        raise ZeroDivisionError
    return {"noted": text}


@router.get("/writes-in-a-get")
def writes_in_a_get(tx: Tx) -> None:
    tx.execute(noted.insert().values(text="never"))


@router.get("/guest")
def as_guest(caller: Guest, now: Now, clock: TheClock, request: Request) -> list[str]:
    return [caller, iso(now), iso(clock.now()), request.url.path]


@router.post("/guest")
def posts_as_guest(caller: Guest, tx: Tx) -> str:
    tx.execute(noted.insert().values(text="posted"))
    raise Conflict(f"no, {caller}")


@router.get("/async")
async def in_the_loop(caller: Guest, now: Now, parts: PartsOf) -> list[object]:
    return [caller, iso(now), parts.has(Database)]


@router.get("/async-ahead")
async def ahead(caller: GuestAhead) -> str:
    return caller


@router.get("/async-ahead-at")
async def ahead_at_a_time(caller: GuestAhead, now: Now) -> list[str]:
    return [caller, iso(now)]


@router.get("/ahead")
def not_ahead(caller: GuestAhead) -> str:
    return caller


@router.post("/seen")
def sees_its_own_commit(tx: Tx, parts: PartsOf) -> str:
    tx.after_commit(lambda: parts.get(list).extend(texts(parts.get(Database))))
    tx.execute(noted.insert().values(text="mine"))
    return "ok"


def texts(database: Database) -> list[str]:
    with database.read() as tx:
        return [row.text for row in tx.all(noted.select().order_by(noted.c.text))]


@pytest.fixture
def site(database: Database) -> Iterator[TestClient]:
    noted.create(database.engine)
    app = FastAPI()
    faults.install(app)
    app.include_router(router)
    clock = ManualClock()
    app.state.parts = Parts(database, clock, [])
    app.state.parts.put(Clock, clock)
    with TestClient(app) as client:
        yield client
    noted.drop(database.engine)


def test_what_a_handler_wrote_is_committed_before_its_answer(site: TestClient, database: Database) -> None:
    answer = site.post("/notes/a")
    assert (answer.status_code, answer.json()) == (200, {"noted": "a"})
    assert texts(database) == ["a"]


@pytest.mark.parametrize(("fails", "status"), [("on purpose", 409), ("unforeseen", 500)])
def test_a_failed_request_leaves_nothing__G_11(site: TestClient, database: Database, fails: str, status: int) -> None:
    with capture_logs():
        assert site.post("/notes/a", params={"fails": fails}).status_code == status
    assert texts(database) == []


def test_who_waits_for_the_commit_is_called_when_others_can_see_it(site: TestClient) -> None:
    assert site.post("/seen").status_code == 200
    assert site.app.state.parts.get(list) == ["mine"]  # type: ignore[attr-defined]


def test_parameters_that_we_find_are_not_asked_of_the_client(site: TestClient) -> None:
    described = site.get("/openapi.json").json()["paths"]
    assert [one["name"] for one in described["/notes/{text}"]["post"]["parameters"]] == ["text", "fails"]
    assert "parameters" not in described["/guest"]["get"]
    assert "requestBody" not in described["/guest"]["get"]


@pytest.mark.parametrize("path", ["/guest", "/async"])
def test_a_caller_is_found_or_the_handler_is_not_run__G_8(site: TestClient, database: Database, path: str) -> None:
    assert site.get(path).status_code == 401
    assert texts(database) == []
    assert site.get(path, headers={"x-name": "ann"}).json()[:2] == ["ann", "2026-01-01T00:00:00.000000Z"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/async-ahead", "ann, found ahead"),
        ("/async-ahead-at", ["ann, found ahead", "2026-01-01T00:00:00.000000Z"]),
        ("/ahead", "ann"),
    ],
)
def test_a_caller_may_be_found_ahead_where_the_handler_is_async__G_8(
    site: TestClient, database: Database, path: str, found: object
) -> None:
    assert site.get(path).status_code == 401
    assert site.get(path, headers={"x-name": "ann"}).json() == found
    assert texts(database) == (["seen ann"] if found == "ann" else [])


def test_one_request_has_one_time_and_may_ask_for_itself_and_parts(site: TestClient) -> None:
    told = site.get("/guest", headers={"x-name": "ann"}).json()
    assert told[1] == told[2]
    assert told[3] == "/guest"


def test_a_reading_request_writes_only_in_a_transaction_of_its_own(site: TestClient, database: Database) -> None:
    site.get("/guest", headers={"x-name": "ann"})
    assert texts(database) == ["seen ann"]


def test_in_a_writing_request_finding_the_caller_is_part_of_it__G_11(site: TestClient, database: Database) -> None:
    assert site.post("/guest", headers={"x-name": "ann"}).status_code == 409
    assert texts(database) == []


def test_who_may_call_is_read_from_the_signature() -> None:
    assert who_may_call(as_guest) == "guest"
    assert who_may_call(in_the_loop) == "guest"
    assert who_may_call(note) is None


def test_a_handler_without_marked_parameters_is_left_as_it_is() -> None:
    def plain(number: int) -> int:
        return number

    assert routes.in_one_transaction(plain) is plain


def test_the_wrapped_handler_still_says_who_may_call() -> None:
    assert who_may_call(routes.in_one_transaction(as_guest)) == "guest"
