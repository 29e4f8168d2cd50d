"""Series as Grafana reads them: time series of numbers, and tables of what is no number."""

from collections.abc import Iterator, Mapping
from typing import Any

NAMING = ("device", "metric", "kind", "unit", "shift", "at")
"""What a series of history's answers holds besides its columns."""

Frame = dict[str, Any]


def frames(found: Mapping[str, Any], tags: Mapping[str, str], ref_id: str, *, only: str | None) -> Iterator[Frame]:
    """One for every column, or only for the one of that name; for `states` one for every value."""
    name = f"{tags['device']} {tags['metric']}"
    columns = {key: column for key, column in found.items() if key not in NAMING and only in (None, key)}
    for word, column in columns.items():
        if word == "states":
            for value, seconds in column.items():
                yield _frame(f"{name} {value}", found, seconds, tags=tags, ref_id=ref_id)
        else:
            title = name if word == "value" or only else f"{name} {word}"
            yield _frame(title, found, column, tags=tags, ref_id=ref_id)


def _frame(title: str, found: Mapping[str, Any], column: list[Any], *, tags: Mapping[str, str], ref_id: str) -> Frame:
    kind = next((KINDS[type(value)] for value in column if type(value) in KINDS), None)
    if kind is not None:
        columns = [{"text": "Time", "type": "time"}, {"text": title, "type": kind}]
        rows = list(zip(found["at"], column, strict=True))
        return {"type": "table", "name": title, "refId": ref_id, "columns": columns, "rows": rows}
    points = list(zip(column, found["at"], strict=True))
    frame: Frame = {"target": title, "title": title, "refId": ref_id, "tags": dict(tags), "datapoints": points}
    return frame | ({"unit": found["unit"]} if found["unit"] else {})


KINDS = {str: "string", bool: "boolean"}
