"""The volume forgets what it should and nothing else: its rules, then the same against a plain model."""

import errno
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.faults.volume import File, Volume, walk

NEVER_EARLY = 0.0


def after_a_cut(backing: Path) -> dict[str, bytes | None]:
    """Paths and contents of what survived; folders have None."""
    return {path: bytes(node.content) if isinstance(node, File) else None for path, node in walk(Volume(backing))}


def written(volume: Volume, path: str, content: bytes) -> File:
    file = volume.make_file(path, 0o100600)
    volume.write(file, content, 0)
    return file


def test_a_file_survives_when_it_and_its_folder_were_synced(tmp_path: Path) -> None:
    volume = Volume(tmp_path, early=NEVER_EARLY)
    volume.sync(written(volume, "/kept", b"bytes"))
    volume.sync_folder(volume.folder("/"))
    assert after_a_cut(tmp_path) == {"/": None, "/kept": b"bytes"}


def test_a_synced_file_without_a_synced_folder_has_no_name(tmp_path: Path) -> None:
    volume = Volume(tmp_path, early=NEVER_EARLY)
    volume.sync(written(volume, "/nameless", b"bytes"))
    assert after_a_cut(tmp_path) == {"/": None}


def test_a_name_without_synced_bytes_is_an_empty_file(tmp_path: Path) -> None:
    volume = Volume(tmp_path, early=NEVER_EARLY)
    written(volume, "/empty", b"bytes")
    volume.sync_folder(volume.folder("/"))
    assert after_a_cut(tmp_path) == {"/": None, "/empty": b""}


def test_an_unsynced_overwrite_leaves_the_old_bytes(tmp_path: Path) -> None:
    volume = Volume(tmp_path, early=NEVER_EARLY)
    file = written(volume, "/f", b"a" * 10_000)
    volume.sync(file)
    volume.sync_folder(volume.folder("/"))
    volume.write(file, b"b" * 10_000, 0)
    volume.truncate(file, 3)
    assert after_a_cut(tmp_path)["/f"] == b"a" * 10_000


def test_a_cut_and_grown_file_is_zero_between(tmp_path: Path) -> None:
    volume = Volume(tmp_path, early=NEVER_EARLY)
    file = written(volume, "/f", b"a" * 9_000)
    volume.sync(file)
    volume.sync_folder(volume.folder("/"))
    volume.truncate(file, 1)
    volume.write(file, b"z", 8_999)
    volume.sync(file)
    assert after_a_cut(tmp_path)["/f"] == b"a" + bytes(8_998) + b"z"


def test_a_rename_survives_with_the_folder_and_replaces_whole(tmp_path: Path) -> None:
    volume = Volume(tmp_path, early=NEVER_EARLY)
    volume.sync(written(volume, "/old", b"old"))
    volume.sync(written(volume, "/draft", b"new"))
    volume.sync_folder(volume.folder("/"))
    volume.rename("/draft", "/old")
    assert after_a_cut(tmp_path) == {"/": None, "/old": b"old", "/draft": b"new"}
    volume = Volume(tmp_path, early=NEVER_EARLY)
    volume.rename("/draft", "/old")
    volume.sync_folder(volume.folder("/"))
    assert after_a_cut(tmp_path) == {"/": None, "/old": b"new"}


def test_a_move_between_folders_survives_on_both_ends_or_on_none(tmp_path: Path) -> None:
    volume = Volume(tmp_path, early=NEVER_EARLY)
    volume.make_folder("/a", 0o040700)
    volume.make_folder("/b", 0o040700)
    volume.sync(written(volume, "/a/f", b"bytes"))
    for path in ("/", "/a", "/b"):
        volume.sync_folder(volume.folder(path))
    volume.rename("/a/f", "/b/f")
    volume.sync_folder(volume.folder("/a"))
    assert after_a_cut(tmp_path) == {"/": None, "/a": None, "/b": None, "/b/f": b"bytes"}


def test_a_removed_file_comes_back_until_its_folder_is_synced(tmp_path: Path) -> None:
    volume = Volume(tmp_path, early=NEVER_EARLY)
    volume.sync(written(volume, "/f", b"bytes"))
    volume.link("/f", "/g")
    volume.sync_folder(volume.folder("/"))
    volume.unlink("/f")
    assert after_a_cut(tmp_path) == {"/": None, "/f": b"bytes", "/g": b"bytes"}


def test_an_empty_folder_that_survived_stays_a_folder_when_more_is_made(tmp_path: Path) -> None:
    volume = Volume(tmp_path, early=NEVER_EARLY)
    volume.make_folder("/empty", 0o040700)
    volume.sync_folder(volume.folder("/"))
    after = Volume(tmp_path, early=NEVER_EARLY)
    written(after, "/new", b"bytes")
    assert after.folder("/empty").entries == {}


def test_a_full_volume_says_so_and_takes_more_when_space_is_freed(tmp_path: Path) -> None:
    volume = Volume(tmp_path, quota_bytes=10_000)
    ballast = written(volume, "/ballast", bytes(9_000))
    file = volume.make_file("/f", 0o100600)
    with pytest.raises(OSError, match="full") as refused:
        volume.write(file, bytes(2_000), 0)
    assert refused.value.errno == errno.ENOSPC
    volume.truncate(ballast, 0)
    volume.write(file, bytes(2_000), 0)
    volume.unlink("/f")
    assert volume.used_bytes == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 20_000), st.binary(min_size=1, max_size=5_000)),
        st.tuples(st.just("truncate"), st.integers(0, 20_000), st.just(b"")),
        st.tuples(st.just("sync"), st.just(0), st.just(b"")),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(steps=steps, seed=st.integers(0, 1000))
def test_synced_bytes_survive_and_live_bytes_are_what_was_written(
    steps: list[tuple[str, int, bytes]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    backing = tmp_path_factory.mktemp("volume")
    volume = Volume(backing, seed=seed, early=NEVER_EARLY)
    file = volume.make_file("/f", 0o100600)
    volume.sync_folder(volume.folder("/"))
    live, synced = bytearray(), b""
    for verb, at, content in steps:
        if verb == "write":
            volume.write(file, content, at)
            live.extend(bytes(max(at - len(live), 0)))
            live[at : at + len(content)] = content
        elif verb == "truncate":
            volume.truncate(file, at)
            del live[at:]
            live.extend(bytes(at - len(live)))
        else:
            volume.sync(file)
            synced = bytes(live)
        assert file.content == live
    assert after_a_cut(backing)["/f"] == synced


def test_what_was_not_synced_may_be_there_early_and_torn(tmp_path: Path) -> None:
    volume = Volume(tmp_path, early=1.0)
    file = volume.make_file("/f", 0o100600)
    for page in range(64):
        volume.write(file, b"x" * 4096, page * 4096)
    survived = after_a_cut(tmp_path)["/f"]
    assert survived
    assert b"\0" in survived, "some page must have been torn"
