import json
from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from waystation.kernel import faults
from waystation.kernel.errors import (
    Conflict,
    DomainError,
    Invalid,
    NotFound,
    Refused,
    StorageFull,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from waystation.kernel.problems import problem

KINDS = [Invalid, Unauthenticated, Refused, NotFound, Conflict, TooLarge, TooMany, Unavailable, StorageFull]
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


class Wanted(BaseModel):
    celsius: Annotated[float, Field(le=100)]
    name: str = ""


@pytest.fixture
def site() -> Iterator[TestClient]:
    app = FastAPI()
    faults.install(app, lambda _, told: HTMLResponse(f"<h1>{told.status}</h1>{told.sentence}", told.status))

    @app.get("/raises/{kind}")
    def raises(kind: int) -> None:
        raise KINDS[kind]("do something else", retry_after_seconds=1.2 if kind == 6 else None)

    @app.get("/unforeseen")
    def unforeseen() -> None:
        raise ZeroDivisionError("secret detail")

    @app.post("/wanted")
    def wanted(body: Wanted) -> None:
        pass

    @app.get("/breaks-off")
    def breaks_off() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"begun"
            raise ZeroDivisionError

        return StreamingResponse(parts())

    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("number", range(len(KINDS)), ids=[kind.word for kind in KINDS])
def test_each_failure_has_its_status_and_its_word(site: TestClient, number: int) -> None:
    answer = site.get(f"/raises/{number}")
    kind = KINDS[number]
    assert answer.status_code == kind.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == kind.word
    assert answer.json()["detail"] == "do something else"
    assert answer.json()["status"] == kind.status


def test_the_vocabulary_is_closed_and_each_word_is_one_status() -> None:
    assert set(DomainError.__subclasses__()) >= set(KINDS)
    assert len({kind.word for kind in KINDS}) == len({kind.status for kind in KINDS}) == len(KINDS)
    assert all(400 <= kind.status < 500 or kind.status in (503, 507) for kind in KINDS)


def test_the_time_to_wait_is_in_whole_seconds_never_less__G_16(site: TestClient) -> None:
    assert site.get("/raises/6").headers["retry-after"] == "2"


def test_who_must_say_who_they_are_is_told_how__G_8(site: TestClient) -> None:
    assert site.get("/raises/1").headers["www-authenticate"].startswith("Bearer")
    assert "www-authenticate" not in site.get("/raises/2").headers


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
def test_an_unforeseen_fault_says_nothing_of_itself_but_where_the_log_has_it__G_10(
    site: TestClient, accept: str
) -> None:
    with capture_logs() as lines:
        answer = site.get("/unforeseen", headers={"accept": accept})
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert [line["reference"] for line in lines] == [answer.json()["reference"]]
    assert answer.json()["reference"] in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/raises/3", "/unforeseen", "/nowhere"])
def test_a_browser_gets_a_page(site: TestClient, path: str) -> None:
    with capture_logs():
        answer = site.get(path, headers={"accept": BROWSER})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith(f"<h1>{answer.status_code}</h1>")


def test_a_program_that_takes_anything_gets_json(site: TestClient) -> None:
    for accept in ("*/*", "application/json, text/html;q=0.5"):
        assert site.get("/nowhere", headers={"accept": accept}).headers["content-type"] == "application/problem+json"


def test_an_unknown_address_and_a_wrong_method_are_said_in_words(site: TestClient) -> None:
    assert site.get("/nowhere").json()["detail"] == "there is nothing at this address"
    answer = site.delete("/wanted")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "DELETE" in answer.json()["detail"]


def test_what_is_not_json_is_400_and_what_does_not_fit_422__G_10(site: TestClient) -> None:
    answer = site.post("/wanted", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, "not JSON" in answer.json()["detail"]) == (400, True)
    answer = site.post("/wanted", json={"celsius": 500, "name": 1})
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"celsius", "name"}
    assert answer.json()["detail"].startswith("celsius: ")


def test_a_wrong_value_is_not_repeated_to_who_sent_it__G_6(site: TestClient) -> None:
    assert "s3cr3tw0rd" not in site.post("/wanted", json={"celsius": "s3cr3tw0rd"}).text


def test_an_answer_that_has_begun_is_not_answered_twice(site: TestClient) -> None:
    with pytest.raises(ZeroDivisionError):
        site.get("/breaks-off")


def test_edges_without_the_framework_say_the_same() -> None:
    status, headers, body = problem(TooMany("slower, please", retry_after_seconds=3))
    assert (status, dict(headers)[b"retry-after"], dict(headers)[b"content-type"]) == (
        429,
        b"3",
        b"application/problem+json",
    )
    assert json.loads(body)["detail"] == "slower, please"
