"""Sealed lines and files, on the file system of the machine and on FAT."""

import os

import board
import vfs

from waystation import storage


def test_what_was_saved_is_loaded():
    storage.save("note", {"a": [1, "ä", None]})
    assert storage.load("note") == {"a": [1, "ä", None]}
    assert storage.load("other") is None


def test_a_torn_line_is_passed_over_and_hurts_no_other():
    whole = storage.seal("first")
    for cut in range(len(whole)):
        storage.remove("lines")
        storage.append("lines", whole[:cut])
        storage.append("lines", storage.seal("second"))
        assert list(storage.lines("lines")) == (["second"] if cut < len(whole) - 1 else ["first", "second"])


def test_a_flipped_bit_is_seen():
    whole = storage.seal("payload")
    for at in range(len(whole)):
        line = bytearray(whole)
        line[at] ^= 4
        assert storage.unseal(bytes(line)) is None


def test_fat_does_not_rename_over_a_file_and_a_cut_between_loses_nothing():
    flash = board.Flash(120)
    vfs.VfsFat.mkfs(flash)
    vfs.mount(vfs.VfsFat(flash), "/fat")
    try:
        storage.save("/fat/note", 1)
        storage.save("/fat/note", 2)
        assert storage.load("/fat/note") == 2
        os.rename("/fat/note", "/fat/note.new")  # as a cut leaves it
        storage.save("/fat/note", 3)
        assert storage.load("/fat/note") == 3
        os.rename("/fat/note", "/fat/note.new")
        assert storage.load("/fat/note") == 3
    finally:
        vfs.umount("/fat")


def test_folders_are_made_and_removed_with_all_in_them():
    storage.make_folders("a/b/c")
    storage.save("a/b/c/note", 1)
    storage.save("a/note", 1)
    storage.remove_folder("a")
    assert storage.names(".") == []
    storage.remove_folder("a")


board.run(globals())
