"""People of the home, the homes of a person, and what an invitation's link shows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request
from starlette.responses import Response

from waystation.homes import invitations, membership, store
from waystation.homes.access import HomeViewer, Person, Visitor
from waystation.homes.model import INVITATION_DAYS, Member, Membership, NewInvitation, Role
from waystation.identity import LEAST_PASSWORD, Caller, person_by_id, strength
from waystation.kernel import db, mail
from waystation.kernel.errors import DomainError
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings
from waystation.kernel.site import public_url

router = Router(include_in_schema=False)
DONE = {
    "revoked": "The invitation is taken back; its link opens nothing any more.",
    "role": "Saved. It counts from now on.",
    "removed": "They do not belong to this home any more.",
    "renamed": "Saved.",
    "left": "You do not belong to that home any more.",
    "deleted": "The home is deleted.",
}
WORDS = {
    Role.VIEWER: "looks at everything",
    Role.USER: "also controls devices",
    Role.ADMIN: "also manages devices and people",
    Role.OWNER: "also makes owners and deletes the home",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page, and when."""

    request: Request
    tx: db.Tx
    now: datetime

    @property
    def settings(self) -> Settings:
        return self.request.app.state.parts.get(Settings)

    def html(self, template: str, *, status: int = 200, **context: Any) -> Response:
        pages: Pages = self.request.app.state.parts.get(Pages)
        return pages.html(self.request, f"homes/{template}", status=status, **context)


@router.get("/people")
def show_people(request: Request, me: HomeViewer, tx: Tx, now: Now, done: str = "") -> Response:
    return people_page(Asked(request, tx, now), me, notice=DONE.get(done))


def people_page(
    asked: Asked,
    me: Membership,
    *,
    notice: str | None = None,
    fault: DomainError | None = None,
    draft: dict[str, str] | None = None,
) -> Response:
    """With a fault the invitation's dialog is open when there is a draft, else it stands above the list."""
    listed = membership.members(asked.tx, me.home_id)
    return asked.html(
        "people.html",
        status=fault.status if fault else 200,
        members=[_shown(asked.tx, me, one) for one in listed],
        invitations=invitations.invitations(asked.tx, me.home_id, asked.now) if me.role.may_manage else [],
        me=me,
        roles=_choices(me.role),
        days=INVITATION_DAYS,
        mails=mail.is_on(asked.settings),
        notice=notice,
        error=fault.sentence if fault else None,
        draft=draft or {},
    )


def _shown(tx: db.Tx, me: Membership, one: Member) -> dict[str, Any]:
    """`manageable`: whether the caller may change or remove the member at all."""
    manageable = one.role in me.role.may_give and not membership.is_last_owner(tx, me.home_id, one)
    return {"member": one, "is_me": one.person_id == me.user_id, "manageable": manageable}


def _choices(own: Role) -> list[tuple[str, str]]:
    return [(role.word, WORDS[role]) for role in own.may_give]


def link_page(asked: Asked, made: NewInvitation, link: str, *, is_mailed: bool) -> Response:
    return asked.html("invited.html", made=made, link=link, is_mailed=is_mailed, may=invitations.MAY[made.role])


def link_of(asked: Asked, secret: str) -> str:
    return f"{public_url(asked.settings)}/invitations/{secret}"


@router.get("/homes")
def show_homes(request: Request, me: Person, tx: Tx, now: Now, done: str = "") -> Response:
    return homes_page(Asked(request, tx, now), me, notice=DONE.get(done))


def homes_page(
    asked: Asked,
    me: Caller,
    *,
    notice: str | None = None,
    fault: DomainError | None = None,
    failed: str = "",
    draft: str = "",
) -> Response:
    """`failed` names the dialog whose form was refused; without one the fault stands above the list."""
    assert me.person_id is not None
    mine = store.homes_of(asked.tx, me.person_id)
    shown = store.home_of(asked.tx, me.person_id, me.home_id)
    return asked.html(
        "homes.html",
        status=fault.status if fault else 200,
        homes=[{"home": home, "role": role, "is_shown": home == shown} for home, role in mine],
        many=asked.settings.many_homes,
        notice=notice,
        error=fault.sentence if fault else None,
        failed=failed,
        draft=draft,
    )


@router.get("/invitations/{secret}")
def show_invitation(request: Request, secret: str, me: Visitor, tx: Tx, now: Now) -> Response:
    return invitation_page(Asked(request, tx, now), secret, me)


def invitation_page(
    asked: Asked, secret: str, me: Caller | None, *, email: str = "", fault: DomainError | None = None
) -> Response:
    """NotFound when the link opens nothing, except for whom it has made a member."""
    person_id = me.person_id if me else None
    row = invitations.look(asked.tx, secret, asked.now, person_id=person_id)
    held = None if person_id is None else store.role_of(asked.tx, row.home_id, person_id)
    inviter = None if row.invited_by is None else person_by_id(asked.tx, row.invited_by)
    home = store.home_by_id(asked.tx, row.home_id)
    parts: Parts = asked.request.app.state.parts
    return asked.html(
        "invitation.html",
        status=fault.status if fault else 200,
        secret=secret,
        home=home,
        inviter=inviter.name if inviter else None,
        may=invitations.MAY[Role.of(row.role)],
        until=row.expires_at,
        me=me,
        held=held,
        email=email or row.email,
        error=fault.sentence if fault else None,
        least_password=LEAST_PASSWORD,
        strength_ticket=strength.ticket(parts.get(KeyRing), asked.now),
    )
