"""The folder of one type of packages: versions side by side, and one link that is renamed from one to the other.

current -> versions/7-p4x8   what programs read
versions/7-p4x8, versions/6-…   this one and the one before
staging/8-…   what is being fetched
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from waystation_agent.errors import Fault
from waystation_agent.folder import sync_folder

FILE_MODE, PROGRAM_MODE, FOLDER_MODE = 0o640, 0o750, 0o750
"""For the owner and the group: a folder with the set-group-id bit gives its group to what is made in it."""


class Shelf:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._link = path / "current"

    def staging(self, version: str) -> Path:
        return self.path / "staging" / version

    def version(self, version: str) -> Path:
        return self.path / "versions" / version

    def make(self, version: str) -> Path:
        """Make the folder that a version is fetched into, and return it."""
        for folder in (self.path / "versions", self.staging(version)):
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        sync_folder(self.path)
        return self.staging(version)

    def put(self, version: str) -> None:
        """Turn what was fetched into a version, whole or not at all. What is in it must be on the disk."""
        folder = self.staging(version)
        for below, _, _ in os.walk(folder):
            sync_folder(Path(below))
        folder.rename(self.version(version))
        for changed in (self.path / "versions", self.path / "staging"):
            sync_folder(changed)

    def current(self) -> str:
        """Return the version that is in use; empty if none is."""
        try:
            return self._link.readlink().name
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise Fault(f"{self._link} is not a link of the agent's; move it away") from error

    def switch(self, version: str) -> None:
        """Let the link lead to this version, at once for all who follow it; for an empty one there is no link."""
        self.current()
        if not version:
            self._link.unlink(missing_ok=True)
        else:
            fresh = self.path / ".current.new"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(Path("versions") / version)
            fresh.replace(self._link)
        sync_folder(self.path)

    def tidy(self, *kept: str) -> None:
        """Remove all versions but these and the one in use, and whatever was left half fetched."""
        keep = {*kept, self.current()}
        with suppress(FileNotFoundError):
            for found in (self.path / "versions").iterdir():
                if found.name not in keep:
                    shutil.rmtree(found, ignore_errors=True)
        shutil.rmtree(self.path / "staging", ignore_errors=True)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.path).free
