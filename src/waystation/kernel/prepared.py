"""Statements of which a request makes ten: put together and compiled once, then only handed to the driver.

To build a statement and to find its compiled form again takes SQLAlchemy several times what SQLite takes to answer it.
"""

import json
from collections.abc import Callable, Collection
from typing import Any

import sqlalchemy as sa

from waystation.kernel.db import Tx

Rows = list[tuple[Any, ...]]


class Prepared:
    """`build(is_sqlite)` gives the statement, with `sa.bindparam("name")` for what changes.

    Rows are the driver's own tuples: no column may be of a type that is made in Python, such as Moment.
    """

    def __init__(self, build: Callable[[bool], sa.Executable]) -> None:
        self._build = build
        self._compiled: dict[str, tuple[str, list[str] | None, dict[str, Any]]] = {}

    def rows(self, tx: Tx, **values: Any) -> Rows:
        text, order, fixed = self._compiled.get(tx.connection.dialect.name) or self._made(tx)
        given: Any = {**fixed, **values}
        result = tx.connection.exec_driver_sql(text, given if order is None else tuple([given[name] for name in order]))
        rows: Rows = result.cursor.fetchall()  # type: ignore[union-attr]  a statement that reads has a cursor
        result.close()
        return rows

    def _made(self, tx: Tx) -> tuple[str, list[str] | None, dict[str, Any]]:
        dialect = tx.connection.dialect
        statement: Any = self._build(tx.is_sqlite)
        compiled = statement.compile(dialect=dialect)
        fixed = {name: value for name, value in compiled.construct_params(_check=False).items() if value is not None}
        made = compiled.string, list(compiled.positiontup) if dialect.positional else None, fixed
        self._compiled[dialect.name] = made
        return made


def among(is_sqlite: bool, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:  # noqa: FBT001
    """`column in (…)` with one parameter of that name, which is what `many` gives."""
    if is_sqlite:
        return column.in_(sa.select(sa.func.json_each(sa.bindparam(name)).table_valued("value").c.value))
    # Not `= any (…)`: in a plan that PostgreSQL keeps for all parameters it goes through the whole array for every row.
    return column.in_(sa.select(sa.func.unnest(sa.cast(sa.bindparam(name), sa.ARRAY(column.type)))))


def many(tx: Tx, values: Collection[int] | Collection[str]) -> Any:
    return json.dumps(list(values)) if tx.is_sqlite else list(values)
