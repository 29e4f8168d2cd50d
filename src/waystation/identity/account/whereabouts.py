"""Where a person is signed in, in browsers and apps, and signing out there. Live connections end at once."""

from datetime import datetime, timedelta
from typing import Any

from waystation.identity import logins
from waystation.identity import service as identity
from waystation.identity import store as people
from waystation.identity.account import store
from waystation.identity.account.browser import browser_name
from waystation.identity.account.model import Mine, Whereabouts
from waystation.identity.factors import lockout
from waystation.kernel import audit
from waystation.kernel.db import Tx
from waystation.kernel.errors import NotFound


def whereabouts(tx: Tx, mine: Mine, now: datetime, *, idle: timedelta) -> list[Whereabouts]:
    """This one first, then the last used. A browser that was `idle` so long is signed out already."""
    browsers = [_shown(row, mine, is_app=False) for row in store.sessions(tx, mine.person_id, now - idle)]
    since = now - logins.REFRESH_LIFETIME
    live = people.live_logins(tx, mine.person_id)
    apps = [_shown(row, mine, is_app=True) for row in live if row.seen_at > since]
    return sorted([*browsers, *apps], key=lambda one: (one.is_this_one, one.seen_at), reverse=True)


def sign_out_browser(tx: Tx, mine: Mine, now: datetime, session_id: int) -> None:
    if store.owner_of_session(tx, session_id) != mine.person_id:
        raise NotFound("that browser is signed out already")
    identity.end_session(tx, session_id, now)
    audit.note(tx, mine.by, "signed a browser out", f"session:{session_id}", now=now)


def sign_out_app(tx: Tx, mine: Mine, now: datetime, login_id: int) -> None:
    if store.owner_of_login(tx, login_id) != mine.person_id or not logins.log_out(tx, login_id, now):
        raise NotFound("that app is logged out already")
    audit.note(tx, mine.by, "logged an app out", f"login:{login_id}", now=now)


def sign_out_elsewhere(tx: Tx, mine: Mine, now: datetime) -> int:
    """Everywhere but where `mine` sits, and every browser must prove itself anew; how many places that ended."""
    browsers = [one for one in store.session_ids(tx, mine.person_id) if one != mine.session_id]
    apps = [row.id for row in people.live_logins(tx, mine.person_id) if row.id != mine.login_id]
    for session_id in browsers:
        identity.end_session(tx, session_id, now)
    for login_id in apps:
        logins.log_out(tx, login_id, now)
    lockout.forget_browsers(tx, mine.person_id)
    ended = {"browsers": len(browsers), "apps": len(apps)}
    audit.note(tx, mine.by, "signed out everywhere else", _named(tx, mine.person_id), now=now, **ended)
    return len(browsers) + len(apps)


def _named(tx: Tx, person_id: int) -> str:
    row = store.anybody(tx, person_id)
    return f"person:{row.email if row else person_id}"


def _shown(row: Any, mine: Mine, *, is_app: bool) -> Whereabouts:
    return Whereabouts(
        id=row.id,
        is_app=is_app,
        name=browser_name(row.agent),
        ip=row.ip or "",
        created_at=row.created_at,
        seen_at=row.seen_at,
        is_this_one=row.id == (mine.login_id if is_app else mine.session_id),
    )
