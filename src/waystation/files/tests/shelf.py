"""One home with a device and people, and what they do with files."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.site import Answer, Site, Somebody, Thing

from waystation import files, homes
from waystation.homes import Role
from waystation.kernel.audit import COMMAND_LINE

TUS = {"tus_resumable": "1.0.0"}
STREAM = {"content_type": "application/offset+octet-stream"}


@dataclass(frozen=True, slots=True)
class Shelf:
    site: Site
    folder: Path
    home: homes.Home
    device: Thing
    other: Thing
    owner: Somebody
    viewer: Somebody
    stranger: Somebody

    @classmethod
    def at(cls, site: Site, folder: Path) -> "Shelf":
        home, elsewhere = site.home(), site.home("Town house")
        return cls(
            site,
            folder,
            home,
            site.device(home),
            site.device(home, "Cellar"),
            site.somebody(home),
            site.somebody(home, Role.VIEWER),
            site.somebody(elsewhere),
        )

    def send(self, name: str, content: bytes, who: str = "", **query: str) -> Answer:
        asked = "&".join(f"{key}={value}" for key, value in {"name": name, **query}.items())
        who = who or self.device.authorization
        return self.site.ask("POST", f"/api/uploads/whole?{asked}", who, content, content_type="text/csv")

    def begin(self, size: int, name: str = "trace.csv", who: str = "", **headers: str) -> Answer:
        told = {"upload_length": str(size), "upload_metadata": f"filename {base64.b64encode(name.encode()).decode()}"}
        named = {**TUS, **told, **headers}
        return self.site.ask("POST", "/api/uploads", who or self.device.authorization, **named)

    def go_on(self, place: str, offset: int, part: bytes, who: str = "", **headers: str) -> Answer:
        named = {**TUS, **STREAM, "upload_offset": str(offset), **headers}
        return self.site.ask("PATCH", place, who or self.device.authorization, part, **named)

    def offset(self, place: str, who: str = "") -> int:
        answer = self.site.ask("HEAD", place, who or self.device.authorization, **TUS)
        assert answer.status == 200, answer
        return int(answer.headers["upload-offset"])

    def delete(self, file_id: str) -> None:
        """However late it is: a log-in would have ended by then."""
        with self.site.database.write() as tx:
            found = files.find(tx, self.home.id, file_id)
            files.delete(tx, COMMAND_LINE, found, self.site.clock.now())

    def files_on_disk(self) -> list[str]:
        blobs = self.folder / "blobs"
        return sorted(str(path.relative_to(blobs)) for path in blobs.rglob("*") if path.is_file())

    def rows(self, statement: str) -> list[Any]:
        with self.site.database.read() as tx:
            return [tuple(row) for row in tx.connection.exec_driver_sql(statement)]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
