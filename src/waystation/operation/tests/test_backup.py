import fcntl
import json
import sqlite3
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waystation.files.shelf import Shelf
from waystation.kernel.blobs import LocalBlobs
from waystation.kernel.errors import Conflict, DomainError, Invalid, NotFound, Unavailable
from waystation.kernel.settings import load
from waystation.operation import archive, backup, sqlite_copy, start
from waystation.operation.archive import Damaged
from waystation.operation.tests.saving import brought_back, names_of_devices, saved, tree, unheard, unheard_code


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz", "b.tgz"])
def test_what_is_saved_comes_back(data: Path, tmp_path: Path, name: str) -> None:
    made = saved(data, tmp_path / name)
    assert brought_back(tmp_path / name, tmp_path / "again") == made
    assert made.rows["device"] == 3
    assert names_of_devices(tmp_path / "again") == ["Kitchen", "Hall", "Shed"]
    assert (tmp_path / "again/keys/forms.key").read_bytes() == (data / "keys/forms.key").read_bytes()
    assert tree(tmp_path / "again") == {"waystation.db", "keys/forms.key", "keys/backup.key"}


def test_files_come_back_with_their_bytes(data: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    desk = start.open_desk(load({"data": data}, {})[0], {})
    kept = Shelf(desk).put(tmp_path / "notes.txt", "notes.txt", lambda _: None)
    desk.database.close()
    made = saved(data, tmp_path / "b.tar")
    assert "blobs.tar" in made.members
    brought_back(tmp_path / "b.tar", tmp_path / "again")
    with LocalBlobs(tmp_path / "again/blobs").open(kept.sha256) as found:
        assert found.read() == b"hello"


def test_what_comes_back_and_the_file_are_their_owners_only(data: Path, tmp_path: Path) -> None:
    saved(data, tmp_path / "b.tar")
    brought_back(tmp_path / "b.tar", tmp_path / "again")
    private = [tmp_path / "b.tar", tmp_path / "again", *(tmp_path / "again").rglob("*")]
    assert [path for path in private if path.stat().st_mode & 0o077] == []


def test_the_file_says_what_is_in_it(data: Path, tmp_path: Path) -> None:
    saved(data, tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar") as tar:
        first = tar.next()
        assert first is not None
        listed = json.load(tar.extractfile(first) or pytest.fail("no contents"))
    assert first.name == "backup.json"
    assert (listed["format"], listed["home"], listed["queue"]) == (2, "Home", "none")
    assert set(listed["members"]) == {"waystation.db", "keys.tar.locked"}


def test_nothing_is_left_beside_the_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    saved(data, tmp_path / "out/b.tar")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.tar"]


def test_a_file_that_is_there_is_replaced_only_when_asked(data: Path, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("precious")
    with pytest.raises(Conflict, match="--force"):
        saved(data, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_text() == "precious"
    saved(data, tmp_path / "b.tar", replace=True)
    brought_back(tmp_path / "b.tar", tmp_path / "again")


def test_a_name_that_is_no_tar_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"something\.tar"):
        saved(data, tmp_path / "b.zip")


def test_a_folder_without_a_hub_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no hub's data"):
        saved(tmp_path / "nothing", tmp_path / "b.tar")
    assert not (tmp_path / "nothing").exists()


def test_with_postgresql_its_own_tools_are_named(tmp_path: Path) -> None:
    given = load({"data": tmp_path}, {"DATABASE_URL": "postgresql://db/home"})
    with pytest.raises(Conflict, match="pg_dump"):
        backup.make(*given, backup.Wanted(path=tmp_path / "b.tar", hear_code=unheard_code), unheard)


def test_a_queue_of_a_stopped_hub_is_saved_with_it(data: Path, tmp_path: Path) -> None:
    queued = data / "nats/jetstream/WAYSTATION/streams/$MQTT_msgs/msgs"
    queued.mkdir(parents=True)
    (queued / "1.blk").write_bytes(b"acknowledged, not yet stored")
    assert saved(data, tmp_path / "b.tar").queue == "included"
    brought_back(tmp_path / "b.tar", tmp_path / "again")
    assert (tmp_path / "again" / queued.relative_to(data) / "1.blk").read_bytes() == b"acknowledged, not yet stored"


def test_while_a_hub_starts_or_stops_nothing_is_saved(data: Path, tmp_path: Path) -> None:
    """It holds the lock, and cannot yet or no longer be asked for its queue."""
    with (data / "hub.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="starting or stopping"):
            saved(data, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


@contextmanager
def writing(path: Path) -> Iterator[list[int]]:
    """A thread that commits one row after the other; the list holds those that are acknowledged."""
    acknowledged: list[int] = []
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=30)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE written (n INTEGER, bulk BLOB)")
            while not stop.is_set():
                database.execute("INSERT INTO written VALUES (?, randomblob(20000))", (len(acknowledged),))
                database.commit()
                acknowledged.append(len(acknowledged))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        thread.join()


def test_a_copy_is_one_moment_of_a_database_that_is_written(tmp_path: Path) -> None:
    """Also when writers commit between its steps: it neither begins anew nor mixes two moments."""
    path, steps, sqlite_copy_pages = tmp_path / "live.db", 0, 50

    def look(_done: int, _total: int) -> None:
        nonlocal steps, seen
        steps += 1
        until = len(acknowledged) + 2
        while len(acknowledged) < until:
            pass
        seen = len(acknowledged)

    with writing(path) as acknowledged, pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite_copy, "PAGES_AT_ONCE", sqlite_copy_pages)
        while len(acknowledged) < 100:
            pass
        before, seen = len(acknowledged), 0
        sqlite_copy.copy(path, tmp_path / "copy.db", look)
    sqlite_copy.check(tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copied:
        rows = [row[0] for row in copied.execute("SELECT n FROM written ORDER BY n")]
    assert steps > 5
    assert rows == list(range(len(rows)))
    assert before <= len(rows) < seen


def test_a_copy_that_is_not_sound_is_found_out(data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "waystation.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA writable_schema=ON")
        database.execute("UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'device'")
        database.commit()
    with pytest.raises(DomainError, match="not sound"):
        saved(data, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


def test_a_folder_that_is_not_empty_is_left_as_it_is(data: Path, tmp_path: Path) -> None:
    saved(data, tmp_path / "b.tar")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/note.txt").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        brought_back(tmp_path / "b.tar", tmp_path / "used")
    assert tree(tmp_path / "used") == {"note.txt"}


def test_an_empty_folder_is_filled(data: Path, tmp_path: Path) -> None:
    saved(data, tmp_path / "b.tar")
    (tmp_path / "empty").mkdir()
    brought_back(tmp_path / "b.tar", tmp_path / "empty")
    assert names_of_devices(tmp_path / "empty") == ["Kitchen", "Hall", "Shed"]


def test_a_backup_of_a_newer_program_is_refused(data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "waystation.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '29991231_99_later'")
        database.commit()
    saved(data, tmp_path / "b.tar")
    with pytest.raises(Conflict, match="newer Waystation"):
        brought_back(tmp_path / "b.tar", tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\0" * 10_240, b"\x1f\x8b\x08\0\0\0\0\0\0\0cut"])
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.tar").write_bytes(content)
    with pytest.raises(Damaged):
        brought_back(tmp_path / "b.tar", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="there is no file"):
        brought_back(tmp_path / "b.tar", tmp_path / "again")


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
def test_a_damaged_file_is_refused_or_harmless(data: Path, tmp_path: Path, name: str) -> None:
    """Wherever a bit is turned or the file is cut: what comes back is what was saved, or nothing comes back."""
    saved(data, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    expected = names_of_devices(data)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(at=st.integers(0, len(whole) - 1), cut=st.booleans())
    def damage(at: int, *, cut: bool) -> None:
        hurt = whole[:at] if cut else whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        (tmp_path / f"hurt-{name}").write_bytes(hurt)
        again = tmp_path / f"again-{at}-{cut}"
        try:
            brought_back(tmp_path / f"hurt-{name}", again)
        except Conflict:
            assert not again.exists()
        else:
            assert names_of_devices(again) == expected
            for path in sorted(again.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            again.rmdir()

    damage()


@pytest.mark.parametrize("name", ["../outside.key", "/tmp/outside.key"])
def test_a_backup_cannot_write_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "keys.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(Damaged, match="must not"):
        archive.unpack(tmp_path / "keys.tar", tmp_path / "inner/keys")
    assert tree(tmp_path) == {"keys.tar"}
