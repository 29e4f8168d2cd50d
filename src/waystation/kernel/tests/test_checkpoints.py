"""The log is brought in while commits go on, begins anew, and no commit is lost on the way."""

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from waystation.kernel import checkpoints
from waystation.kernel.checkpoints import Checkpoints
from waystation.kernel.db import Database, sqlite_url

NEVER = 1_000_000
PAGE_BYTES = 4096


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(sqlite_url(tmp_path / "site.db"), log_pages=NEVER)
    with made.write() as tx:
        tx.execute(sa.text("create table word (id integer primary key, text text)"))
    return made


def put(database: Database, count: int) -> None:
    for _ in range(count):
        with database.write() as tx:
            tx.execute(sa.text("insert into word (text) values (:text)"), [{"text": "x" * 1000} for _ in range(400)])


def log_pages(database: Database) -> int:
    return Path(f"{database.url.database}-wal").stat().st_size // PAGE_BYTES


def test_a_log_that_is_long_enough_begins_anew_while_commits_go_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.01)
    thread = Checkpoints(database)
    thread.start()
    writers = [threading.Thread(target=put, args=(database, 100)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    thread.close()
    assert log_pages(database) < 20_000  # about 20,700 were written, and as many again for the table's inner pages
    database.close()
    with sqlite3.connect(str(database.url.database)) as file:
        assert file.execute("select count(*) from word").fetchone() == (80_000,)
        assert file.execute("pragma integrity_check").fetchone() == ("ok",)


def test_the_file_is_synced_before_writers_wait(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        checkpoints.os, "fsync", lambda number: synced.append(str(Path(f"/proc/self/fd/{number}").readlink()))
    )
    monkeypatch.setattr(checkpoints, "ENOUGH_PAGES", 10)
    put(database, 1)
    with database.outside_transactions() as connection:
        checkpoints.checkpoint(connection, database)
    assert synced == [database.url.database]


def test_a_short_log_stays_and_is_in_the_file(database: Database) -> None:
    put(database, 1)
    with database.outside_transactions() as connection:
        checkpoints.checkpoint(connection, database)
        before = log_pages(database)
    put(database, 1)
    assert log_pages(database) <= before * 2


def test_a_reader_who_stays_keeps_nobody_waiting_for_long(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "LONG_PAGES", 10)
    monkeypatch.setattr(checkpoints, "ENOUGH_PAGES", 10)
    with database.read() as tx:
        tx.scalar(sa.text("select count(*) from word"))
        put(database, 3)
        with database.outside_transactions() as connection:
            checkpoints.checkpoint(connection, database)
        put(database, 1)
    with database.read() as tx:
        assert tx.scalar(sa.text("select count(*) from word")) == 1600
    with database.outside_transactions() as connection:
        checkpoints.checkpoint(connection, database)
        assert connection.execute("pragma busy_timeout").fetchone() == (15000,)
    put(database, 1)
    with database.outside_transactions() as connection:
        assert connection.execute("pragma wal_checkpoint(passive)").fetchone()[1] < 300
