"""A real OpenID Connect provider as a child process, and a browser without pictures that signs in there."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
from tests.hub import DIES_WITH_THE_TEST, free_port
from tests.servers import required

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = Path(__file__).with_suffix(".mjs")
SECRET = "a+secret/that:needs=encoding"
FORM_ACTION = re.compile(r'<form[^>]*action="([^"]+)"')
ABORT = re.compile(r'href="([^"]+/abort)"')


class RealProvider:
    """One address, on which the provider is started and ended any number of times, with new keys each time."""

    def __init__(self, redirect_uri: str) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._redirect_uri = redirect_uri
        self._program: subprocess.Popen[str] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a hub must be told to use it."""
        return {"oidc_issuer": self.issuer, "oidc_client_id": "waystation", "oidc_client_secret": SECRET}

    def start(self, *, kid: str = "first", **more: Any) -> None:
        """`more` as oidc_provider.mjs reads it: `claimsInIdToken=True`, `claims={"ann": {…}}`, `client={…}`."""
        chosen = {"port": self.port, "kid": kid, "redirectUris": [self._redirect_uri], **more}
        command = [*DIES_WITH_THE_TEST, "node", str(SCRIPT), json.dumps(chosen)]
        self._program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._program.stdout is not None
        assert self._program.stdout.readline() == "ready\n", "the identity provider did not start"

    def stop(self) -> None:
        if self._program is not None:
            self._program.kill()
            self._program.wait()
            assert self._program.stdout is not None
            self._program.stdout.close()
            self._program = None


class There:
    """A browser at the provider, with its cookies."""

    def __init__(self) -> None:
        self._client = httpx2.Client(timeout=20)

    def leave(self) -> None:
        """Forgets who signed in there."""
        self._client.cookies.clear()

    def close(self) -> None:
        self._client.close()

    def sign_in(self, door: str, login: str) -> str:
        """Through its pages with login and consent, until it sends the browser elsewhere: to that address."""
        page = self._follow(self._client.get(door))
        while isinstance(page, httpx2.Response):
            prompt = "login" if 'name="login"' in page.text else "consent"
            form = {"prompt": prompt, "login": login, "password": "anything"}
            page = self._follow(self._client.post(_found(FORM_ACTION, page), data=form))
        return page

    def decline(self, door: str, login: str) -> str:
        page = self._follow(self._client.get(door))
        assert isinstance(page, httpx2.Response)
        form = {"prompt": "login", "login": login, "password": "anything"}
        page = self._follow(self._client.post(_found(FORM_ACTION, page), data=form))
        assert isinstance(page, httpx2.Response)
        away = self._follow(self._client.get(_found(ABORT, page)))
        assert isinstance(away, str)
        return away

    def _follow(self, answer: httpx2.Response) -> httpx2.Response | str:
        """The first page, or the first address that is not the provider's."""
        while answer.is_redirect:
            target = urljoin(str(answer.url), answer.headers["location"])
            if httpx2.URL(target).port != answer.url.port:
                return target
            answer = self._client.get(target)
        assert answer.status_code == 200, answer.text
        return answer


def _found(pattern: re.Pattern[str], page: httpx2.Response) -> str:
    match = pattern.search(page.text)
    assert match is not None, page.text
    return urljoin(str(page.url), unescape(match[1]))


StartProvider = Callable[..., RealProvider]


@pytest.fixture
def oidc_provider() -> Iterator[StartProvider]:
    """`oidc_provider("http://hub/signin/oidc/callback")` starts one; it ends with the test."""
    required(shutil.which("node") and (ROOT / "node_modules" / "oidc-provider").exists(), "oidc-provider (npm ci)")
    with ExitStack() as stack:

        def started(redirect_uri: str, **more: Any) -> RealProvider:
            made = RealProvider(redirect_uri)
            stack.callback(made.stop)
            made.start(**more)
            return made

        yield started


@pytest.fixture
def there() -> Iterator[There]:
    browser = There()
    yield browser
    browser.close()
