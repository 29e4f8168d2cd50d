"""Links by which anybody sees one shared dashboard: read-only, secret, with an end, taken back at any time."""

from datetime import datetime, timedelta

from waystation.dashboard.boards import store
from waystation.dashboard.boards.model import MOST_LINKS, Board, Link, Sharing, check_hours, check_words
from waystation.homes import Membership
from waystation.kernel import audit, outbox, secrets
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound

GONE = "this link opens nothing: it has ended or was taken back"
TOUCHED_EVERY = timedelta(minutes=1)
FORGOTTEN_AFTER = timedelta(days=1)


def link_ended(link_id: int) -> str:
    """The notice after which nobody may look through this link any more."""
    return f"boardlinks.{link_id}.ended"


def share(tx: Tx, me: Membership, board: Board, now: datetime, *, name: str = "", hours: float | None) -> Sharing:
    """Only of what the whole home may see: a link must not outlive the look that its maker had."""
    if not board.is_shared:
        raise Conflict("only a dashboard that is shared with the home can have links; share it with the home first")
    if len(store.links(tx, board.id, now)) >= MOST_LINKS:
        raise Conflict(f"this dashboard has {MOST_LINKS} links; take one back first")
    lasting = check_hours(hours)
    name = check_words(" ".join(name.split()), "a link's name", 80)
    secret = secrets.new_secret()
    expires_at = None if lasting is None else now + lasting
    values = {"name": name, "made_at": now, "made_by": me.actor.who, "expires_at": expires_at}
    number = store.add_link(tx, board.id, secrets.digest(secret), **values)
    detail = {"link": number, "until": str(expires_at or "taken back")}
    audit.note(tx, me.actor, "shared a dashboard by link", f"board:{board.uid}", now=now, **detail)
    return Sharing(number, name, secret, expires_at)


def links(tx: Tx, board: Board, now: datetime) -> list[Link]:
    return store.links(tx, board.id, now)


def take_back(tx: Tx, me: Membership, board: Board, link_id: int, *, now: datetime) -> None:
    """Open pages of it end at once."""
    if not store.drop_link(tx, board.id, link_id):
        raise NotFound("that link has ended or was taken back already")
    outbox.notice(tx, link_ended(link_id), {}, now)
    audit.note(tx, me.actor, "took a dashboard's link back", f"board:{board.uid}", now=now, link=link_id)


def look(tx: Tx, secret: str, now: datetime) -> tuple[Link, Board]:
    found = store.opened_by(tx, secrets.digest(secret), now)
    if found is None or not found[1].is_shared:
        raise NotFound(GONE)
    return found


def is_stale(link: Link, now: datetime) -> bool:
    """Whether its last use is worth writing down again."""
    return link.used_at is None or now - link.used_at >= TOUCHED_EVERY


def forget(tx: Tx, now: datetime) -> int:
    """A sweep: those that ended a day ago."""
    return store.forget_links(tx, now - FORGOTTEN_AFTER)
