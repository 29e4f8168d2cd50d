"""Files that survive a power cut at any byte.

Two forms are all that the client needs. A *sealed line* carries its own CRC-32, so that a line cut short, or
followed by what the flash held before, is known for what it is and passed over. A *sealed file* is one such line
that is replaced as a whole: written beside the old, flushed, renamed over it. A file system that cannot rename over
a file (FAT) loses the old one first; whoever comes next then finds the new one under its first name, and renames
it.
"""

import binascii
import json
import os

_ENOENT = 2


def seal(text):
    """One line, as bytes. `text` must not hold a line end; JSON never does."""
    raw = text.encode()
    return b"%08x %s\n" % (binascii.crc32(raw) & 0xFFFFFFFF, raw)


def unseal(line):
    """The text of a sealed line, or None when it is damaged."""
    if len(line) < 10 or line[-1] != 10:
        return None
    raw = line[9:-1]
    if line[:9] != b"%08x " % (binascii.crc32(raw) & 0xFFFFFFFF):
        return None
    return raw.decode()


def append(path, sealed):
    """Adds sealed lines; when this returns, they are in flash. A torn line before them stays torn and alone."""
    with open(path, "ab") as file:
        file.write(b"\n")
        file.write(sealed)
        file.flush()


def lines(path):
    """The texts of all sound lines, oldest first; none when there is no file."""
    try:
        file = open(path, "rb")
    except OSError:
        return
    with file:
        for line in file:
            text = unseal(line)
            if text is not None:
                yield text


def save(path, value):
    """Replaces a sealed file by the JSON of `value`. A cut leaves the old or the new, whole."""
    beside = path + ".new"
    _mend(path, beside)
    with open(beside, "wb") as file:
        file.write(seal(json.dumps(value)))
        file.flush()
    replace(beside, path)


def load(path):
    """What was saved last; None when there is nothing."""
    _mend(path, path + ".new")
    text = _only_line(path)
    return None if text is None else json.loads(text)


def _only_line(path):
    """Read to the end, so that the file is closed at once and not when memory is next collected."""
    found = None
    for text in lines(path):
        found = text
    return found


def _mend(path, beside):
    """A cut between the two steps of a replacing on FAT: the new one is whole, and the old one gone."""
    if size(path) is None and size(beside) is not None and _only_line(beside) is not None:
        os.rename(beside, path)


def replace(beside, path):
    """Renames over what is there."""
    try:
        os.rename(beside, path)
    except OSError:
        if size(beside) is None:
            raise
        remove(path)  # FAT does not rename over a file
        os.rename(beside, path)


def remove(path):
    """A file that may be absent."""
    try:
        os.remove(path)
    except OSError as fault:
        if fault.errno != _ENOENT:
            raise


def remove_folder(path):
    """With all in it; it may be absent."""
    for name in names(path):
        inner = path + "/" + name
        if size(inner) is None:
            remove_folder(inner)
        else:
            remove(inner)
    try:
        os.rmdir(path)
    except OSError as fault:
        if fault.errno != _ENOENT:
            raise


def names(path):
    """Of everything in a folder, sorted; none when it is absent."""
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def size(path):
    """Bytes of a file; None when there is no such file, or a folder."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return None if found[0] & 0x4000 else found[6]


def make_folders(path):
    """The folder, and those above it."""
    at = 0
    while at >= 0:
        at = path.find("/", at + 1)
        part = path if at < 0 else path[:at]
        try:
            os.mkdir(part)
        except OSError:
            os.stat(part)  # fails where the folder is not there after all
