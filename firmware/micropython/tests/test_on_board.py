"""Runs the tests of `on_board/` inside MicroPython, on a small board's heap, and shows each as a test of its own."""

import re
from pathlib import Path

import pytest
from firmware.micropython.tests.interpreter import HEAP_BYTES, rom, run

FOLDER = Path(__file__).with_name("on_board")
LARGE = {"check_power_cut": 4 << 20, "check_storage": 1 << 18, "check_files": 1 << 20}  # they hold whole images
FOUND = [
    (path, name)
    for path in sorted(FOLDER.glob("check_*.py"))
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
]
PRINTED: dict[Path, str] = {}


@pytest.mark.parametrize(("path", "name"), FOUND, ids=[f"{path.stem}-{name}" for path, name in FOUND])
def test_inside_micropython(path: Path, name: str, tmp_path: Path) -> None:
    rom(path)  # skips where there is no MicroPython
    if path not in PRINTED:
        PRINTED[path] = run(path, folder=tmp_path, heap_bytes=LARGE.get(path.stem, HEAP_BYTES))
    assert f"passed {name}\n" in PRINTED[path], PRINTED[path]


@pytest.mark.faults
def test_the_power_is_cut_at_every_single_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYSTATION_CUT_STEP", "1")
    path = FOLDER / "check_power_cut.py"
    printed = run(path, folder=tmp_path, heap_bytes=LARGE[path.stem])
    assert "failed" not in printed, printed
