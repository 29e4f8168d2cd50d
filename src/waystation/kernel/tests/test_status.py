from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from waystation.kernel import faults, status
from waystation.kernel.clock import Clock, ManualClock
from waystation.kernel.db import Database, sqlite_url
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings


@contextmanager
def site(folder: Path, metrics_token: str = "", database: str = "waystation.db") -> Iterator[TestClient]:
    app = FastAPI()
    faults.install(app)
    app.include_router(status.router)
    made = Database(sqlite_url(folder / database))
    app.state.parts = Parts(made, Settings(data=folder, metrics_token=SecretStr(metrics_token)))
    app.state.parts.put(Clock, ManualClock())
    with TestClient(app) as client:
        yield client
    made.close()


def test_metrics_are_open_when_the_owner_has_set_no_token(tmp_path: Path) -> None:
    with site(tmp_path) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "python_info" in answer.text


def test_metrics_with_a_token_are_for_who_sends_it(tmp_path: Path) -> None:
    with site(tmp_path, "a long random word") as client:
        answer = client.get("/metrics", headers={"authorization": "Bearer a long random word"})
    assert (answer.status_code, "python_info" in answer.text) == (200, True)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic word", "word"])
def test_metrics_with_a_token_are_for_nobody_else__G_8(tmp_path: Path, header: str) -> None:
    with site(tmp_path, "word") as client:
        answer = client.get("/metrics", headers={"authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "python_info" not in answer.text


def test_a_process_whose_database_works_is_ready(tmp_path: Path) -> None:
    with site(tmp_path) as client:
        assert client.get("/health/readyz").status_code == 200
        assert client.get("/health").json()["ready"] is True


@pytest.mark.parametrize("path", ["/health", "/health/", "/api/health", "/api/health/"])
def test_without_its_database_a_process_lives_and_says_that_it_is_not_ready__G_3(tmp_path: Path, path: str) -> None:
    with site(tmp_path, database="no/such/folder.db") as client, capture_logs():
        assert client.get("/health/healthz").status_code == 200
        assert client.get("/health/readyz").status_code == 503
        answer = client.get(path)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["database"], answer.json()["ready"]) == ("ok", "error", False)
