"""Messages as a file, oldest first, in constant memory: a page of rows is all that is held."""

import csv
import io
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec

from waystation.kernel.csv import plain_cell
from waystation.kernel.db import Database
from waystation.messages import store
from waystation.messages.model import on_one_line, visible
from waystation.messages.reading import shown
from waystation.messages.store import Wanted

AT_ONCE = 1000
COLUMNS = ("at", "last_at", "arrived_at", "device", "name", "severity", "type", "content", "count")
BOM = "\ufeff"  # else spreadsheets take UTF-8 for something older


class Format(StrEnum):
    NDJSON = "ndjson"
    TEXT = "text"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        return {"ndjson": "application/x-ndjson", "text": "text/plain; charset=utf-8"}.get(
            self, "text/csv; charset=utf-8"
        )

    @property
    def suffix(self) -> str:
        return "log" if self is Format.TEXT else self.value


def parts(database: Database, wanted: Wanted, form: Format) -> Iterator[bytes]:
    """Of what is there when it begins; what comes meanwhile is not in it, so it ends however fast devices write."""
    if form is Format.CSV:
        yield (BOM + ",".join(COLUMNS) + "\r\n").encode()
    written = {Format.NDJSON: _ndjson, Format.TEXT: _text, Format.CSV: _csv}[form]
    for page in pages(database, wanted):
        yield written(page)


def pages(database: Database, wanted: Wanted) -> Iterator[list[dict[str, Any]]]:
    """Oldest first, as JSON shows them. No transaction is open between two."""
    after, last = 0, None
    while last is None or after < last:
        with database.read() as tx:
            last = store.last_number(tx) if last is None else last
            found = [one for one in store.oldest(tx, wanted, after=after, most=AT_ONCE) if one.number <= last]
            page = shown(tx, found)
        if not found:
            return
        after = found[-1].number
        yield page


def _ndjson(page: list[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(one) + b"\n" for one in page)


def _text(page: list[dict[str, Any]]) -> bytes:
    return "".join(f"{line(one)}\n" for one in page).encode()


def line(one: dict[str, Any]) -> str:
    """A message on one line, as in a log file."""
    times = f" (×{one['count']} until {one['last_at']})" if one["count"] > 1 else ""
    said = one["said_severity"] or one["severity"]
    return f"{one['at']} {said.upper():8} {one['name']} {one['type']}: {on_one_line(one['content'])}{times}"


def _csv(page: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(one[column]) for column in COLUMNS] for one in page)
    return text.getvalue().encode()


def _cell(fact: str | int) -> str | int:
    return plain_cell(visible(fact)) if isinstance(fact, str) else fact
