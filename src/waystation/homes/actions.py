"""What the forms about people, homes and invitations do; each answer is a page or the way to one."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import Response

from waystation import identity
from waystation.homes import invitations, membership, service, store
from waystation.homes import pages as views
from waystation.homes.access import HomeAdmin, HomeOwner, HomeViewer, Person, visitor
from waystation.homes.model import Joined, Role
from waystation.homes.pages import Asked
from waystation.identity import Caller, person_by_id
from waystation.kernel import db, mail, pages
from waystation.kernel.audit import Actor
from waystation.kernel.clock import Clock
from waystation.kernel.errors import Conflict, Invalid, NotFound, Refused
from waystation.kernel.limits import Limiter
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Call, Now, PartsOf, Router, Tx
from waystation.kernel.settings import Settings

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
Text = Annotated[str, Form()]
INVITATIONS_PER_HOUR = "60/hour"


@router.post("/people/invitations")
def invite(
    request: Request, me: HomeAdmin, tx: Tx, now: Now, role: Text = "user", email: Text = "", days: Text = "7"
) -> Response:
    asked = Asked(request, tx, now)
    parts: Parts = request.app.state.parts
    parts.get(Limiter).limit(INVITATIONS_PER_HOUR, "invite people", me.actor.who)
    try:
        made = invitations.invite(tx, me, now, role=Role.of(role), email=email, days=_days(days))
    except (Invalid, Conflict, Refused) as fault:
        return views.people_page(asked, me, fault=fault, draft={"email": email, "role": role, "days": days})
    link = views.link_of(asked, made.secret)
    is_mailed = bool(made.email) and mail.is_on(asked.settings)
    if is_mailed:
        invitations.post(tx, made, now, link, inviter=_name_of(tx, me.caller))
    return views.link_page(asked, made, link, is_mailed=is_mailed)


def _days(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Invalid("say in days how long the invitation is good") from None


def _name_of(tx: db.Tx, caller: Caller) -> str:
    person = None if caller.person_id is None else person_by_id(tx, caller.person_id)
    return person.name if person else "Somebody"


@router.post("/people/invitations/{number}/revoke")
def revoke_invitation(number: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    invitations.revoke(tx, me, number, now=now)
    return pages.go("/people?done=revoked")


@router.post("/people/{person_id}/role")
def change_role(request: Request, person_id: int, me: HomeAdmin, tx: Tx, now: Now, role: Text = "") -> Response:
    try:
        membership.change_role(tx, me, person_id, Role.of(role), now=now)
    except (Conflict, Invalid) as fault:
        return views.people_page(Asked(request, tx, now), me, fault=fault)
    return pages.go("/people?done=role")


@router.post("/people/{person_id}/remove")
def remove(request: Request, person_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    try:
        membership.remove(tx, me, person_id, now=now)
    except Conflict as fault:
        return views.people_page(Asked(request, tx, now), me, fault=fault)
    return pages.go("/homes?done=left" if person_id == me.user_id else "/people?done=removed")


@router.post("/homes")
def create(request: Request, me: Person, tx: Tx, now: Now, name: Text = "") -> Response:
    asked = Asked(request, tx, now)
    try:
        home = service.create(tx, me, now, name=name, many=asked.settings.many_homes)
    except (Invalid, Conflict) as fault:
        return views.homes_page(asked, me, fault=fault, failed="create", draft=name)
    _show(tx, me, home.id)
    return pages.go("/devices")


@router.post("/homes/switch")
def switch(me: Person, tx: Tx, home: Text = "") -> Response:
    assert me.person_id is not None
    found = store.home_by_uid(tx, home)
    if found is None or store.role_of(tx, found.id, me.person_id) is None:
        raise NotFound("you are not a member of this home")
    _show(tx, me, found.id)
    return pages.go("/devices")


@router.post("/homes/{home_uid}/rename")
def rename(request: Request, home_uid: str, me: HomeAdmin, tx: Tx, now: Now, name: Text = "") -> Response:
    try:
        service.rename(tx, me, now, name=name)
    except Invalid as fault:
        return views.homes_page(
            Asked(request, tx, now), me.caller, fault=fault, failed=f"rename-{home_uid}", draft=name
        )
    return pages.go("/homes?done=renamed")


@router.post("/homes/{home_uid}/leave")
def leave(request: Request, home_uid: str, me: HomeViewer, tx: Tx, now: Now) -> Response:
    del home_uid
    try:
        membership.leave(tx, me, now=now)
    except Conflict as fault:
        return views.homes_page(Asked(request, tx, now), me.caller, fault=fault)
    return pages.go("/homes?done=left")


@router.post("/homes/{home_uid}/delete")
def delete(request: Request, home_uid: str, me: HomeOwner, tx: Tx, now: Now, typed_name: Text = "") -> Response:
    asked = Asked(request, tx, now)
    try:
        service.delete(tx, me, now, typed_name=typed_name, many=asked.settings.many_homes)
    except Invalid as fault:
        return views.homes_page(asked, me.caller, fault=fault, failed=f"delete-{home_uid}", draft=typed_name)
    return pages.go("/homes?done=deleted")


@router.post("/invitations/{secret}")
def accept(request: Request, secret: str, parts: PartsOf, email: Text = "", password: Text = "") -> Response:
    """Whoever is signed in joins; whoever is not makes an account with it. The password is hashed outside."""
    pages.check_origin(request)
    rule = f"{parts.get(Settings).signin_per_minute}/minute"
    parts.get(Limiter).limit(rule, "accept an invitation", request.client.host if request.client else "")
    now = parts.get(Clock).now()
    with parts.get(db.Database).write() as tx:
        caller = visitor(Call(tx, request, now))
        if caller is not None:
            return _join(tx, secret, caller, now)
        invitations.look(tx, secret, now)
    try:
        return _sign_up(request, parts, secret, email=email, password=password)
    except (Invalid, Conflict) as fault:
        with parts.get(db.Database).read() as tx:
            return views.invitation_page(Asked(request, tx, now), secret, None, email=email, fault=fault)


def _join(tx: db.Tx, secret: str, caller: Caller, now: datetime) -> Response:
    assert caller.person_id is not None
    joined: Joined = invitations.accept(tx, secret, caller.person_id, now, by=caller.actor)
    _show(tx, caller, joined.home_id)
    return pages.go("/devices")


def _sign_up(request: Request, parts: Parts, secret: str, *, email: str, password: str) -> Response:
    email = identity.check_account(email, password)
    hashed = identity.hash_password(password)
    came, now = identity.came_from(request), parts.get(Clock).now()
    with parts.get(db.Database).write() as tx:
        person_id = identity.sign_up(tx, now, email=email, password_hash=hashed, ip=came.ip)
        invitations.accept(tx, secret, person_id, now, by=Actor(f"person:{email}", came.ip))
        entered = identity.signin.enter(tx, person_id, now, came=came, how="invitation")
    return identity.let_in(request, pages.go("/devices"), entered)


def _show(tx: db.Tx, caller: Caller, home_id: int) -> None:
    """The session's pages show this home from now on."""
    if caller.session_id is not None:
        identity.choose_home(tx, caller.session_id, home_id)
