"""Tables of dashboards and of the links to them; every statement on them."""

from dataclasses import fields
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from waystation.dashboard.boards.model import Board, Link, Tiles, encode
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

board = sa.Table(
    "board",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("person_id", type_of_id, sa.ForeignKey("person.id", ondelete="CASCADE")),  # None: shared with the home
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("tiles", sa.LargeBinary, nullable=False),  # JSON, as model.encode writes it
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("is_start", sa.Boolean, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Index("board_home", "home_id"),
    sa.Index("board_person", "person_id"),
)

link = sa.Table(
    "board_link",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("board_id", type_of_id, sa.ForeignKey("board.id", ondelete="CASCADE"), nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("used_at", Moment),
    sa.Index("board_link_board", "board_id"),
)

BOARD_COLUMNS = [board.c[field.name] for field in fields(Board)]
LINK_COLUMNS = [link.c[field.name] for field in fields(Link)]
stored_tiles = msgspec.json.Decoder(Tiles).decode


def _board(row: sa.Row[Any]) -> Board:
    facts: dict[str, Any] = dict(zip((field.name for field in fields(Board)), row, strict=True))
    facts["tiles"] = stored_tiles(row.tiles)
    return Board(**facts)


# Dashboards


def boards(tx: Tx, home_id: int, person_id: int | None) -> list[Board]:
    """The home's shared ones and this person's own, by name."""
    mine = sa.or_(board.c.person_id.is_(None), board.c.person_id == person_id)
    found = sa.select(*BOARD_COLUMNS).where(board.c.home_id == home_id, mine)
    return [_board(row) for row in tx.all(found.order_by(sa.func.lower(board.c.name), board.c.id))]


def count(tx: Tx, home_id: int) -> int:
    return tx.scalar(sa.select(sa.func.count()).select_from(board).where(board.c.home_id == home_id))


def by_uid(tx: Tx, home_id: int, uid: str) -> Board | None:
    row = tx.first(sa.select(*BOARD_COLUMNS).where(board.c.home_id == home_id, board.c.uid == uid))
    return _board(row) if row else None


def start_of(tx: Tx, home_id: int, person_id: int | None) -> str | None:
    """The uid of what a person's first page shows: their own choice, else the home's, else None."""
    mine = sa.or_(board.c.person_id.is_(None), board.c.person_id == person_id)
    found = sa.select(board.c.uid).where(board.c.home_id == home_id, board.c.is_start, mine)
    return tx.scalar(found.order_by(board.c.person_id.is_(None), board.c.id).limit(1))


def add(tx: Tx, made: Board) -> int:
    values = {field.name: getattr(made, field.name) for field in fields(Board) if field.name not in ("id", "tiles")}
    row = tx.execute(board.insert().values(**values, tiles=encode(made.tiles))).inserted_primary_key
    assert row is not None
    return row[0]


def save(tx: Tx, before: Board, after: Board) -> bool:
    """Whether nobody has saved it since `before` was read."""
    unchanged = board.update().where(board.c.id == before.id, board.c.version == before.version)
    values: dict[str, Any] = {
        "name": after.name,
        "tiles": encode(after.tiles),
        "version": before.version + 1,
        "person_id": after.person_id,
        "is_start": after.is_start,
        "changed_at": after.changed_at,
        "changed_by": after.changed_by,
    }
    return tx.changed(unchanged.values(**values))


def end_other_starts(tx: Tx, start: Board) -> None:
    """No other dashboard is the first page of its home, or of its person, any more."""
    mine, theirs = board.c.person_id == start.person_id, board.c.person_id.is_(None)
    others = (board.c.home_id == start.home_id, board.c.id != start.id, theirs if start.is_shared else mine)
    tx.execute(board.update().where(*others).values(is_start=False))


def delete(tx: Tx, board_id: int) -> bool:
    return tx.changed(board.delete().where(board.c.id == board_id))


# Links


def add_link(tx: Tx, board_id: int, digest: bytes, **values: Any) -> int:
    row = tx.execute(link.insert().values(board_id=board_id, digest=digest, **values)).inserted_primary_key
    assert row is not None
    return row[0]


def links(tx: Tx, board_id: int, now: datetime) -> list[Link]:
    """Those that open something, the newest first."""
    found = sa.select(*LINK_COLUMNS).where(link.c.board_id == board_id, _is_open(now))
    return [Link(*row) for row in tx.all(found.order_by(link.c.id.desc()))]


def opened_by(tx: Tx, digest: bytes, now: datetime) -> tuple[Link, Board] | None:
    row = tx.first(sa.select(*LINK_COLUMNS).where(link.c.digest == digest, _is_open(now)))
    found = None if row is None else tx.first(sa.select(*BOARD_COLUMNS).where(board.c.id == row.board_id))
    return None if row is None or found is None else (Link(*row), _board(found))


def touch_link(tx: Tx, link_id: int, now: datetime) -> None:
    tx.execute(link.update().where(link.c.id == link_id).values(used_at=now))


def drop_link(tx: Tx, board_id: int, link_id: int) -> bool:
    return tx.changed(link.delete().where(link.c.id == link_id, link.c.board_id == board_id))


def drop_links(tx: Tx, board_id: int) -> None:
    tx.execute(link.delete().where(link.c.board_id == board_id))


def forget_links(tx: Tx, before: datetime) -> int:
    return tx.execute(link.delete().where(link.c.expires_at < before)).rowcount


def _is_open(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(link.c.expires_at.is_(None), link.c.expires_at > now)
