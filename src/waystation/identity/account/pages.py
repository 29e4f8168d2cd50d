"""The account page, and the pages by which a forgotten password is replaced."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import Response

from waystation.identity.account import resets, service
from waystation.identity.account.access import Me, Visit
from waystation.identity.account.model import EXPIRIES, MOST_NAME, Mine
from waystation.identity.account.tokens import tokens
from waystation.identity.account.whereabouts import whereabouts
from waystation.identity.factors import service as factors
from waystation.identity.factors import strength
from waystation.identity.model import LEAST_PASSWORD
from waystation.kernel import mail, pages
from waystation.kernel.audit import Actor
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database, Tx
from waystation.kernel.door import counted_as
from waystation.kernel.errors import DomainError, Invalid, TooMany
from waystation.kernel.limits import Limiter
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router
from waystation.kernel.routes import Tx as InTx
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings
from waystation.kernel.site import public_url

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
Text = Annotated[str, Form()]
DONE = {
    "names": "Your name is saved.",
    "email": "Your e-mail address is changed; sign in with the new one from now on.",
    "password": "Your password is changed.",
    "signed-out": "Signed out there.",
    "signed-out-elsewhere": "You are signed out everywhere but here.",
    "revoked": "The API token is revoked; what used it is disconnected.",
}


@router.get("/account")
def show_account(request: Request, me: Me, tx: InTx, done: str = "") -> Response:
    return account_page(Visit(request, me), tx, done=DONE.get(done))


def account_page(
    visit: Visit,
    tx: Tx,
    *,
    done: str | None = None,
    errors: Mapping[str, str] | None = None,
    draft: Mapping[str, str] | None = None,
) -> Response:
    settings, now = visit.parts.get(Settings), visit.now
    return visit.html(
        "account",
        status=400 if errors else 200,
        profile=service.profile(tx, visit.me.person_id),
        factors=factors.factors(tx, visit.me.person_id),
        places=whereabouts(tx, visit.me, now, idle=timedelta(seconds=settings.session_idle_seconds)),
        idle_seconds=settings.session_idle_seconds,
        tokens=tokens(tx, visit.me.person_id, now),
        homes={home.id: home.name for home in visit.homes(tx)},
        expiries=EXPIRIES,
        most_name=MOST_NAME,
        least_password=LEAST_PASSWORD,
        strength_ticket=strength.ticket(visit.parts.get(KeyRing), now),
        notice=done,
        errors=errors or {},
        draft=draft or {},
    )


@router.get("/forgot")
def show_forgot(request: Request, parts: PartsOf) -> Response:
    return _forgot_page(request, parts)


@router.post("/forgot")
def send_link(request: Request, parts: PartsOf, email: Text = "") -> Response:
    """The answer is the same whether or not there is such an account, and whether or not it had too many mails."""
    pages.check_origin(request)
    if not mail.is_on(parts.get(Settings)):
        return _forgot_page(request, parts)
    ip = request.client.host if request.client else None
    limiter = parts.get(Limiter)
    limiter.limit("10/hour", "ask for a new password", counted_as(ip or ""))
    email = email.strip().replace("\0", "")[:320]
    try:
        limiter.limit("3/hour", "ask for a new password of one account", email.lower())
    except TooMany:
        return _forgot_page(request, parts, sent_to=email)
    with parts.get(Database).write() as tx:
        site, now = public_url(parts.get(Settings)), parts.get(Clock).now()
        resets.mail_link(tx, Actor("nobody", ip), now, email=email, site=site)
    return _forgot_page(request, parts, sent_to=email)


@router.get("/reset/{secret}")
def show_reset(request: Request, secret: str, parts: PartsOf, tx: InTx, now: Now) -> Response:
    return _reset_page(request, parts, secret, email=resets.whose(tx, secret, now).email)


@router.post("/reset/{secret}")
def reset(request: Request, secret: str, parts: PartsOf, password: Text = "") -> Response:
    """The person then signs in, second step and all: the link proves no more than that they have the link."""
    pages.check_origin(request)
    ip = request.client.host if request.client else None
    parts.get(Limiter).limit("10/minute", "choose a new password", counted_as(ip or ""))
    now = parts.get(Clock).now()
    with parts.get(Database).read() as tx:
        row = resets.whose(tx, secret, now)
    try:
        chosen = service.first_password(row, password)
    except Invalid as weak:
        return _reset_page(request, parts, secret, email=row.email, fault=weak)
    mine = Mine(row.id, Actor(f"person:{row.email}", ip), mails=mail.is_on(parts.get(Settings)))
    with parts.get(Database).write() as tx:
        resets.use_link(tx, secret, mine, now, keys=parts.get(KeyRing), password=chosen)
    return parts.get(Pages).html(request, "identity/account_reset_done.html", email=row.email)


def _forgot_page(request: Request, parts: Parts, *, sent_to: str = "") -> Response:
    mails = mail.is_on(parts.get(Settings))
    return parts.get(Pages).html(request, "identity/account_forgot.html", mails=mails, sent_to=sent_to)


def _reset_page(
    request: Request, parts: Parts, secret: str, *, email: str, fault: DomainError | None = None
) -> Response:
    context = {
        "token": secret,
        "email": email,
        "error": fault.sentence if fault else None,
        "least_password": LEAST_PASSWORD,
        "strength_ticket": strength.ticket(parts.get(KeyRing), parts.get(Clock).now()),
    }
    return parts.get(Pages).html(
        request, "identity/account_reset.html", status=fault.status if fault else 200, **context
    )
