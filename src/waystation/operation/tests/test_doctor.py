import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.servers import StartHub

from waystation.kernel.settings import Settings
from waystation.operation import doctor_machine
from waystation.operation.doctor import Finding, Site, State, examine
from waystation.operation.doctor_hub import CHECKS


def looked_at(data: Path, *, running: dict[str, Any] | None = None, **given: Any) -> dict[str, Finding]:
    settings = Settings.model_validate({"data": data, **given})
    return dict(examine(Site(settings, running), CHECKS))


def not_ok(found: dict[str, Finding]) -> dict[str, State]:
    return {name: one.state for name, one in found.items() if one.state is not State.OK}


def test_a_hub_that_is_well_but_stopped_gets_one_warning(data: Path) -> None:
    found = looked_at(data, min_free_bytes=1)
    assert {name: state for name, state in not_ok(found).items() if name not in ("clock", "disk")} == {
        "hub": State.WARNING
    }


def test_whatever_is_not_ok_says_what_to_do(data: Path, tmp_path: Path) -> None:
    for folder in (data, tmp_path, tmp_path / "nothing"):
        found = looked_at(folder)
        assert [name for name, one in found.items() if bool(one.advice) is (one.state is State.OK)] == []


def test_the_doctor_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    looked_at(tmp_path / "empty")
    looked_at(tmp_path / "nothing")
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    assert looked_at(tmp_path / "nothing")["data folder"].state is State.FAULT


def test_a_folder_that_others_can_read_is_doubtful(data: Path) -> None:
    data.chmod(0o755)
    assert looked_at(data)["data folder"].state is State.WARNING


def test_a_key_that_others_can_read_is_a_fault(data: Path) -> None:
    (data / "keys/forms.key").chmod(0o644)
    found = looked_at(data)["keys"]
    assert (found.state, "forms.key" in found.sentence) == (State.FAULT, True)


def test_a_full_disk_is_a_fault(data: Path) -> None:
    assert looked_at(data, min_free_bytes=1 << 60)["disk"].state is State.FAULT


def test_a_database_of_a_newer_program_is_a_fault(data: Path) -> None:
    with closing(sqlite3.connect(data / "waystation.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '29991231_99_later'")
        database.commit()
    found = looked_at(data)["database"]
    assert (found.state, "newer" in found.sentence) == (State.FAULT, True)


def test_a_damaged_database_is_a_fault(data: Path) -> None:
    with closing(sqlite3.connect(data / "waystation.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (data / "waystation.db").open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 4096)
    assert looked_at(data)["integrity"].state is State.FAULT


def test_a_clock_before_the_program_was_made_is_a_fault(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine.migrations, "head", lambda _: "29991231_01_later")
    assert doctor_machine.clock(Site(Settings.model_validate({"data": data}), None)).state is State.FAULT


def test_a_hub_that_does_not_answer_is_a_fault(data: Path) -> None:
    noted = {"pid": os.getpid(), "url": "http://127.0.0.1:1", "mqtt_port": 1}
    found = looked_at(data, running=noted)
    assert {found[name].state for name in ("HTTP", "MQTT", "MQTT queue")} == {State.FAULT}


@contextmanager
def somebody_else() -> Iterator[int]:
    """A port that answers to whatever is said, but in no language of ours."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(100)
                line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def test_another_program_on_the_mqtt_port_is_a_fault(data: Path) -> None:
    with somebody_else() as port:
        found = looked_at(data, running={"pid": 1, "url": "http://127.0.0.1:1", "mqtt_port": port})["MQTT"]
    assert (found.state, "not MQTT" in found.sentence) == (State.FAULT, True)


@pytest.mark.servers
def test_a_running_hub_is_well(hub: StartHub) -> None:
    running = hub(mqtt=True)
    found = {one["check"]: one for one in running.command("doctor")}
    wrong = {name: one for name, one in found.items() if one["state"] != "ok" and name not in ("clock", "disk")}
    assert wrong == {}
    assert {"HTTP", "MQTT", "MQTT queue", "hub"} <= found.keys()


@pytest.mark.servers
def test_postgresql_is_asked_instead_of_sqlite(postgres_url: str, tmp_path: Path) -> None:
    found = looked_at(tmp_path, database_url=postgres_url.replace("postgresql+psycopg", "postgresql"))
    assert "integrity" not in found
    assert found["database"].state is State.WARNING  # it is empty; the first start fills it
