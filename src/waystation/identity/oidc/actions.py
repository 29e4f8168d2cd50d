"""What a signed-in person does with their account at the provider: link it, unlink it, leave."""

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from waystation.identity import access
from waystation.identity import service as identity
from waystation.identity.factors import service as factors
from waystation.identity.factors.access import AtBrowser
from waystation.identity.factors.service import Mine
from waystation.identity.oidc import service
from waystation.identity.oidc.model import Attempt
from waystation.identity.oidc.pages import SECURITY_PAGE, Visited, callback_url, html, with_attempt
from waystation.kernel import pages
from waystation.kernel.db import Database
from waystation.kernel.routes import Now, PartsOf, Router, Tx

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
CONFIRM_PAGE = f"{SECURITY_PAGE}/confirm"


@router.post("/account/outside/link")
async def link(request: Request, parts: PartsOf, mine: AtBrowser) -> Response:
    """A page with the door on it, because browsers follow no form to another site under our content policy."""
    visited = Visited.of(request, parts)
    if not await run_in_threadpool(_is_confirmed, visited, mine):
        return pages.go(CONFIRM_PAGE)
    attempt = Attempt.new(callback_url(request, parts), SECURITY_PAGE, mine.person_id)
    door = await visited.provider.door(attempt, visited.now, again=True)
    answer = html(visited, "outside_continue", door=door)
    return await with_attempt(answer, attempt, visited)


@router.post("/account/outside/unlink")
def unlink(request: Request, parts: PartsOf, mine: AtBrowser, tx: Tx, now: Now) -> Response:
    visited = Visited.of(request, parts)
    if not factors.is_confirmed(tx, mine, now):
        return pages.go(CONFIRM_PAGE)
    service.unlink(tx, mine.by, now, person_id=mine.person_id, issuer=visited.provider.issuer)
    return pages.go(SECURITY_PAGE)


@router.post("/account/outside/signout")
def sign_out(request: Request, parts: PartsOf, mine: AtBrowser, tx: Tx, now: Now) -> Response:
    """Here at once; the next page leads out at the provider as well."""
    Visited.of(request, parts)
    identity.end_session(tx, mine.session_id, now)
    answer = pages.go("/signin/oidc/left")
    answer.delete_cookie(access.cookie_name(request), secure=access.is_https(request), httponly=True, samesite="lax")
    return answer


def _is_confirmed(visited: Visited, mine: Mine) -> bool:
    with visited.parts.get(Database).read() as tx:
        return factors.is_confirmed(tx, mine, visited.now)
