"""Files and packages at the local hub: resumable uploads (tus 1.0), blobs by their hash, and how packages end."""

import base64
import json
import os
import sqlite3
import threading
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import cast

from waystation_agent.local_hub.wire import Object, Refusal, Reply, Request, as_object, said

SCHEMA = """
create table if not exists upload (id text primary key, name text, size integer);
create table if not exists package (
    number integer primary key autoincrement, id text unique, name text, type text, members text,
    state text default 'staged', detail text
);
create table if not exists report (id text, state text, done_bytes integer, detail text);
"""


class Files:
    def __init__(self, db: sqlite3.Connection, lock: threading.Lock, folder: Path) -> None:
        self._db = db
        self._lock = lock
        self._folder = folder
        self.damage = False
        """Whether the bytes of blobs are changed on the way."""
        folder.mkdir(exist_ok=True)
        db.executescript(SCHEMA)

    # What a person at the hub does and sees

    def stage(self, name: str, kind: str, members: Mapping[str, bytes]) -> str:
        """Stage a package for whichever device asks; returns its id."""
        identifier = token_hex(6)
        listed: list[Object] = []
        for member, content in members.items():
            digest = sha256(content).hexdigest()
            (self._folder / digest).write_bytes(content)
            listed.append({"name": member, "size_bytes": len(content), "sha256": digest})
        with self._lock:
            self._db.execute(
                "insert into package (id, name, type, members) values (?, ?, ?, ?)",
                (identifier, name, kind, json.dumps(listed)),
            )
        return identifier

    def stage_again(self, package: str) -> None:
        with self._lock:
            self._db.execute("update package set state = 'staged' where id = ?", (package,))

    def package(self, package: str) -> tuple[str, str]:
        """Return its state, and what the device said of it last."""
        with self._lock:
            row = self._db.execute("select state, detail from package where id = ?", (package,)).fetchone()
        return row[0], row[1] or ""

    def reports(self, package: str) -> list[str]:
        with self._lock:
            rows = self._db.execute("select state from report where id = ? order by rowid", (package,)).fetchall()
        return [row[0] for row in rows]

    def received(self) -> list[tuple[str, bytes]]:
        """Return name and content of every upload that is whole."""
        with self._lock:
            rows = self._db.execute("select id, name, size from upload order by rowid").fetchall()
        found = [(name, (self._folder / identifier).read_bytes(), size) for identifier, name, size in rows]
        return [(name, content) for name, content, size in found if len(content) == size]

    # What a device does

    def answer(self, request: Request) -> Reply:
        if request.path.startswith("/api/blobs/"):
            return self._blob(request)
        if request.path == "/api/packages/next":
            return said({"package": self._next(request.query)})
        if request.path == "/api/packages/report":
            return said(self._hear(as_object(request.json())))
        if request.path == "/api/uploads" and request.method == "POST":
            return self._create(request)
        return self._upload(request)

    def _create(self, request: Request) -> Reply:
        size = int(request.headers["Upload-Length"])
        words = dict(word.split(" ", 1) for word in request.headers["Upload-Metadata"].split(","))
        identifier = token_hex(6)
        (self._folder / identifier).write_bytes(b"")
        with self._lock:
            name = base64.b64decode(words["filename"]).decode()
            self._db.execute("insert into upload values (?, ?, ?)", (identifier, name, size))
        return Reply(201, headers={"Location": f"/api/uploads/{identifier}", "Tus-Resumable": "1.0.0"})

    def _upload(self, request: Request) -> Reply:
        identifier = request.path.removeprefix("/api/uploads/")
        with self._lock:
            row = self._db.execute("select size from upload where id = ?", (identifier,)).fetchone()
        if row is None:
            raise Refusal(404, "not_found", "There is no such upload.")
        path = self._folder / identifier
        if request.method == "PATCH":
            self._append(path, request, row[0])
        headers = {"Upload-Offset": str(path.stat().st_size), "Upload-Length": str(row[0]), "Tus-Resumable": "1.0.0"}
        return Reply(204 if request.method == "PATCH" else 200, headers=headers)

    def _append(self, path: Path, request: Request, size: int) -> None:
        offset = path.stat().st_size
        if int(request.headers["Upload-Offset"]) != offset or offset + len(request.body) > size:
            raise Refusal(409, "conflict", f"The upload is at {offset}.")
        with path.open("ab") as file:
            file.write(request.body)
            file.flush()
            os.fsync(file.fileno())

    def _next(self, query: Mapping[str, str]) -> Object | None:
        with self._lock:
            row = self._db.execute(
                "select id, name, type, members from package where state in ('staged', 'deploying')"
                " and (? = '' or id = ?) order by number limit 1",
                (query.get("id", ""), query.get("id", "")),
            ).fetchone()
        if row is None:
            return None
        members = cast("list[Object]", json.loads(row[3]))
        first, most = int(query.get("from", 0)), int(query.get("limit", 8))
        lines = sorted((str(one["name"]), f"{one['sha256']} {one['size_bytes']} {one['name']}\n") for one in members)
        return {
            "id": row[0],
            "name": row[1],
            "type": row[2],
            "version": row[1].rpartition("-")[2],
            "count": len(members),
            "total_bytes": sum(int(str(one["size_bytes"])) for one in members),
            "manifest_sha256": sha256("".join(line for _, line in lines).encode()).hexdigest(),
            "from": first,
            "members": members[first : first + most],
        }

    def _blob(self, request: Request) -> Reply:
        digest = request.path.removeprefix("/api/blobs/")
        path = self._folder / Path(digest).name
        if not path.is_file():
            raise Refusal(404, "not_found", "There are no such bytes.")
        content = path.read_bytes()
        if self.damage:
            content = bytes(byte ^ 0xFF for byte in content)
        first = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if first and first >= len(content):
            raise Refusal(416, "range_not_satisfiable", "There is nothing from there on.")
        return Reply(206 if first else 200, content[first:], {"ETag": f'"{digest}"'}, is_object=False)

    def _hear(self, report: Object) -> Object:
        identifier, state, detail = str(report["id"]), str(report["state"]), str(report.get("detail") or "")
        with self._lock:
            self._db.execute(
                "insert into report values (?, ?, ?, ?)", (identifier, state, report.get("done_bytes"), detail)
            )
            row = self._db.execute("select state from package where id = ?", (identifier,)).fetchone()
            if row is None:
                raise Refusal(404, "not_found", "There is no such package.")
            if row[0] in {"deployed", "failed"} and state == "deploying":
                raise Refusal(409, "conflict", f"The package is {row[0]}.")
            self._db.execute("update package set state = ?, detail = ? where id = ?", (state, detail, identifier))
        return {"id": identifier, "state": state}
