"""How I sign in: the second step, recovery codes and passkeys of whoever is signed in."""

from typing import Any

from fastapi import Request
from starlette.responses import Response

from waystation.identity import store as people
from waystation.identity.factors import access, service, store, totp
from waystation.identity.factors.access import AtBrowser
from waystation.identity.factors.model import CONFIRMED_FOR, MOST_NAME, RECOVERY_CODES
from waystation.identity.factors.service import Mine
from waystation.identity.oidc.section import section
from waystation.kernel import pages, qr
from waystation.kernel.db import Tx as Transaction
from waystation.kernel.errors import DomainError
from waystation.kernel.pages import Pages
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.settings import Settings

router = Router(include_in_schema=False)
SECURITY_PAGE = "/account/security"
CONFIRM_PAGE = f"{SECURITY_PAGE}/confirm"
DONE = {
    "off": "The second step is off; your password alone signs you in.",
    "passkey": "The passkey is saved. Try it the next time you sign in.",
    "renamed": "Saved.",
    "deleted": "The passkey is deleted. Remove it from your phone or key as well.",
    "confirmed": f"Thank you. For {CONFIRMED_FOR.seconds // 60} minutes you may change how you sign in.",
}


@router.get(SECURITY_PAGE)
def show_security(request: Request, mine: AtBrowser, tx: Tx, done: str = "") -> Response:
    return security_page(request, tx, mine, notice=DONE.get(done))


@router.get(CONFIRM_PAGE)
def show_confirm(request: Request, mine: AtBrowser, tx: Tx, now: Now) -> Response:
    if service.is_confirmed(tx, mine, now):
        return pages.go(SECURITY_PAGE)
    return confirm_page(request, tx, mine)


def security_page(
    request: Request, tx: Transaction, mine: Mine, *, notice: str | None = None, fault: DomainError | None = None
) -> Response:
    settings: Settings = request.app.state.parts.get(Settings)
    return html(
        request,
        "security",
        fault=fault,
        notice=notice,
        factors=service.factors(tx, mine.person_id),
        passkeys=store.passkeys_of(tx, mine.person_id),
        most_codes=RECOVERY_CODES,
        most_name=MOST_NAME,
        site=access.site_of(request).id,
        outside=section(tx, settings, mine.person_id),
    )


def confirm_page(request: Request, tx: Transaction, mine: Mine, *, fault: DomainError | None = None) -> Response:
    person: Any = people.person_by_id(tx, mine.person_id)
    return html(
        request,
        "security_confirm",
        fault=fault,
        email=person.email,
        has_password=bool(person.password_hash),
        has_passkey=bool(store.credential_ids(tx, mine.person_id, access.site_of(request).id)),
    )


def app_page(request: Request, email: str, secret: str, *, fault: DomainError | None = None) -> Response:
    code = qr.svg(totp.address(secret, email, totp.ISSUER))
    spaced = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return html(request, "security_app", fault=fault, qr=code, secret=spaced, email=email)


def codes_page(request: Request, codes: list[str], email: str) -> Response:
    """Shown this once."""
    return html(request, "security_codes", codes=codes, email=email)


def html(request: Request, name: str, *, fault: DomainError | None = None, **context: Any) -> Response:
    shown: Pages = request.app.state.parts.get(Pages)
    error, status = (fault.sentence, fault.status) if fault else (None, 200)
    answer = shown.html(request, f"identity/{name}.html", status=status, error=error, **context)
    if fault is not None and fault.retry_after_seconds is not None:
        answer.headers["retry-after"] = str(max(1, round(fault.retry_after_seconds)))
    return answer
