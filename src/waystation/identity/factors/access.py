"""What a request says of its browser: who is there, what its cookies keep, and under which name it reached us."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from waystation.identity import access
from waystation.identity.access import caller_of
from waystation.identity.factors.model import KNOWN_FOR, PENDING_LIFETIME
from waystation.identity.factors.passkeys import Site
from waystation.identity.factors.service import Mine
from waystation.identity.model import NewSession
from waystation.identity.signin import Came, Entered
from waystation.kernel import mail
from waystation.kernel.calls import Call, Within
from waystation.kernel.errors import Refused
from waystation.kernel.settings import Settings

PENDING = "signin"
BROWSER = "browser"


def _mine(call: Call) -> Mine:
    caller = caller_of(call)
    if caller.person_id is None or caller.session_id is None:
        raise Refused("only a person signed in with a browser can do this")
    mails = mail.is_on(call.parts.get(Settings))
    return Mine(caller.person_id, caller.actor, caller.session_id, mails=mails)


AtBrowser = Annotated[Mine, Within(_mine, who="at a browser")]


def came_from(request: Request) -> Came:
    return Came(
        ip=request.client.host if request.client else None,
        agent=request.headers.get("user-agent"),
        browser=_cookie(request, BROWSER),
        session=request.cookies.get(access.cookie_name(request), ""),
    )


def site_of(request: Request) -> Site:
    """As the browser sees it. Its own word for where it is counts when it names the host of this very request: pages
    of others cannot say so. Without TLS browsers know passkeys on this machine alone.
    """
    host = (request.url.hostname or "").lower()
    here = request.url.netloc.lower()
    origins = [f"https://{here}"]
    if host == "localhost" or host.endswith(".localhost"):
        origins.append(f"http://{here}")
    settings: Settings = request.app.state.parts.get(Settings)
    public = urlsplit(settings.public_url)
    if public.hostname == host:
        origins.append(f"{public.scheme}://{public.netloc}".lower())
    return Site(host, tuple(origins))


def let_in(request: Request, answer: Response, entered: Entered) -> Response:
    """The answer, after which this browser is signed in and known."""
    access.with_session(request, answer, NewSession(0, entered.session))
    _keep(request, answer, BROWSER, entered.browser, seconds=int(KNOWN_FOR.total_seconds()))
    return drop_pending(request, answer)


def keep_pending(request: Request, answer: Response, secret: str) -> Response:
    return _keep(request, answer, PENDING, secret, seconds=int(PENDING_LIFETIME.total_seconds()))


def pending_secret(request: Request) -> str:
    return _cookie(request, PENDING)


def drop_pending(request: Request, answer: Response) -> Response:
    answer.delete_cookie(_name(request, PENDING), **_options(request))
    return answer


def _cookie(request: Request, name: str) -> str:
    return request.cookies.get(_name(request, name), "")[:100]


def _keep(request: Request, answer: Response, name: str, value: str, *, seconds: int) -> Response:
    answer.set_cookie(_name(request, name), value, max_age=seconds, **_options(request))
    return answer


def _name(request: Request, name: str) -> str:
    return f"__Host-{name}" if access.is_https(request) else name


def _options(request: Request) -> dict[str, Any]:
    return {"secure": access.is_https(request), "httponly": True, "samesite": "lax", "path": "/"}
