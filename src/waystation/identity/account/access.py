"""Who may change an account: its person, in a browser. A token or an app must not widen what it was given."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import Response

from waystation.identity.access import caller_of
from waystation.identity.account.model import Homes, Mine, NamedHome
from waystation.kernel import db, mail
from waystation.kernel.calls import Call, Within
from waystation.kernel.clock import Clock
from waystation.kernel.errors import Refused
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings


def _me(call: Call) -> Mine:
    caller = caller_of(call)
    if caller.person_id is None or caller.session_id is None:
        raise Refused("only a person signed in with a browser can do this")
    mails = mail.is_on(call.parts.get(Settings))
    return Mine(caller.person_id, caller.actor, session_id=caller.session_id, mails=mails)


Me = Annotated[Mine, Within(_me, who="at a browser")]


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by a person for their own account, before a transaction is opened."""

    request: Request
    me: Mine

    @property
    def parts(self) -> Parts:
        return self.request.app.state.parts

    @property
    def now(self) -> datetime:
        return self.parts.get(Clock).now()

    def homes(self, tx: db.Tx) -> list[NamedHome]:
        return [home for home, _ in self.parts.get(Homes).of(tx, self.me.person_id)]

    def html(self, template: str, **context: Any) -> Response:
        return self.parts.get(Pages).html(self.request, f"identity/{template}.html", **context)
