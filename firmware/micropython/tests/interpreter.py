"""The real MicroPython (its unix port), with a heap as small as a board's.

On a board the client's code stays in flash, frozen or in a ROMFS, and only what it makes lies on the heap. So it is
here: the modules are compiled by mpy-cross and put into a ROMFS image, which is mounted from a heap that is larger
by just this image. The unix port has words of 64 bits, an ESP of 32, and a heap holds words: 80 KB here are 40 KB
there (MicroPython's own way to say so is `-X heapsize=40wK`).
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.servers import required

FOLDER = Path(__file__).resolve().parents[1]
MICROPYTHON = Path(sys.executable).with_name("micropython")
MPY_CROSS = Path(sys.executable).with_name("mpy-cross")
WORD_BYTES = 8
HEAP_BYTES = 40 * 1024 * WORD_BYTES // 4
_MAGIC, _VERBATIM, _DIRECTORY, _FILE = b"\xd2\xcd\x31", b"\x02", b"\x04", b"\x05"


def command_line(main: Path, arguments: Sequence[Any] = (), *, heap_bytes: int = HEAP_BYTES) -> list[str]:
    """Runs `main` (a .py file) on a heap of so many bytes besides the client's code."""
    image = rom(main)
    words = [json.dumps(one) if not isinstance(one, str) else one for one in arguments]
    heap = f"heapsize={heap_bytes + _on_heap(image.stat().st_size)}"
    return [str(MICROPYTHON), "-X", heap, str(FOLDER / "tests/in_rom.py"), str(image), main.stem, *words]


def run(main: Path, arguments: Sequence[Any] = (), *, folder: Path, heap_bytes: int = HEAP_BYTES) -> str:
    """What it printed."""
    words = command_line(main, arguments, heap_bytes=heap_bytes)
    ended = subprocess.run(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, f"{main.name}: {ended.stdout}"
    return ended.stdout


@functools.cache
def rom(main: Path) -> Path:
    """A file with the ROMFS image of the client and one main."""
    required(MICROPYTHON.exists() and MPY_CROSS.exists(), "MicroPython")
    modules = [(f"{path.stem}.mpy", _compiled(path)) for path in sorted((FOLDER / "waystation").glob("*.py"))]
    board = FOLDER / "tests/on_board/board.py"
    package = _named(_DIRECTORY, "waystation", b"".join(_file(name, code) for name, code in modules))
    mains = [main, board] if main.parent == board.parent else [main]
    content = package + b"".join(_file(f"{one.stem}.mpy", _compiled(one)) for one in mains)
    image = _scratch() / f"{main.stem}-{os.getpid()}.rom"
    image.write_bytes(_record(_MAGIC, content))
    return image


@functools.cache
def _scratch() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="micropython-")
    _SCRATCH.append(folder)
    return Path(folder.name)


_SCRATCH: list[tempfile.TemporaryDirectory[str]] = []  # gone with the process


@functools.cache
def _compiled(path: Path) -> bytes:
    target = _scratch() / f"{path.stem}.mpy"
    subprocess.run([MPY_CROSS, "-s", path.name, "-o", target, path], check=True)
    return target.read_bytes()


def _on_heap(size: int) -> int:
    """What the image takes of a heap: blocks of 32 bytes, and two bits for each (plus one for finalisers)."""
    blocks = -(-size // 32) + 1
    return blocks * 32 + blocks * 3 // 8


def _file(name: str, content: bytes) -> bytes:
    return _named(_FILE, name, _record(_VERBATIM, content))


def _named(kind: bytes, name: str, content: bytes) -> bytes:
    return _record(kind, _number(len(name)) + name.encode() + content)


def _record(kind: bytes, content: bytes) -> bytes:
    """ROMFS: a kind, a length, and what is in it. Source: extmod/vfs_rom.c of MicroPython."""
    return kind + _number(len(content)) + content


def _number(value: int) -> bytes:
    """Seven bits a byte, the highest first; all but the last have the eighth bit."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))
