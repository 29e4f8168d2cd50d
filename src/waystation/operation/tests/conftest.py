"""A hub's data folder with a little of everything in it, made without starting a hub."""

from collections.abc import Callable
from pathlib import Path

import pytest

from waystation import devices
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings
from waystation.operation import archive_lock, start

Folder = Callable[..., Path]


def settings_of(data: Path) -> Settings:
    return Settings.model_validate({"data": data})


@pytest.fixture(autouse=True)
def _quick_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens an archive reads its cost in it; here guessing may be cheap."""
    monkeypatch.setattr(archive_lock, "N", 16)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of a hub with three devices; no hub runs on it."""
    folder = tmp_path / "hub"
    desk = start.open_desk(settings_of(folder), {})
    with desk.database.write() as tx:
        for name in ("Kitchen", "Hall", "Shed"):
            devices.register(tx, COMMAND_LINE, desk.home_id, desk.now(), name=name)
    desk.database.close()
    KeyRing(folder / "keys").get("forms")
    return folder
