"""The provider as we ask it: where its doors are, which keys it signs with, and who a code stands for.

Everything is asked on the event loop, never at start, and given up after a few seconds.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from importlib import import_module
from typing import Any, Final
from urllib.parse import quote_plus

import msgspec
import structlog

from waystation.identity.oidc import id_token
from waystation.identity.oidc.id_token import Expected, UnknownKey
from waystation.identity.oidc.model import Attempt, Returned, Visitor, check_returned, safe_algorithms
from waystation.kernel.errors import Refused, Unavailable
from waystation.kernel.settings import Settings, is_protected

log = structlog.get_logger(__name__)

PATIENCE_SECONDS: Final = 5
MOST_BYTES: Final = 512 * 1024
FRESH: Final = timedelta(hours=1)
WELL_KNOWN: Final = "/.well-known/openid-configuration"
SCOPES: Final = "openid email profile"


class Metadata(msgspec.Struct, frozen=True):
    """What we read of its announcement (OpenID Connect Discovery section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Tokens(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""


class Fault(msgspec.Struct, frozen=True):
    error: str


@dataclass(frozen=True, slots=True)
class Learned:
    """Something that the provider told us, and when."""

    what: Any
    at: datetime


class Provider:
    """What it announces is kept for an hour, and beyond that while it cannot be asked again."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.oidc_name
        self.issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._secret = settings.oidc_client_secret.get_secret_value()
        self._wants_groups = bool(settings.oidc_admin_groups)
        self._metadata: Learned | None = None
        self._keys: Learned | None = None
        self._asking = asyncio.Lock()
        self._trust: ssl.SSLContext | None = None

    async def door(self, attempt: Attempt, now: datetime, *, again: bool = False) -> str:
        """Where the browser goes to sign in. `again` asks for the password even of who is signed in there."""
        async with self._in_time():
            announced = await self._announced(now)
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": SCOPES,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return _with(announced.authorization_endpoint, asked | ({"prompt": "login"} if again else {}))

    async def visitor(self, attempt: Attempt, returned: Returned, now: datetime) -> Visitor:
        """Whom the code stands for; it is good for once."""
        async with self._in_time():
            announced = await self._announced(now)
            self._check_issuer(announced, returned)
            check_returned(returned, self.name)
            tokens = await self._redeemed(announced, attempt, returned.code)
            claims = await self._believed(announced, tokens, attempt.nonce, now)
            found = Visitor.of(claims)
            if not found.email or (self._wants_groups and "groups" not in claims):
                found = Visitor.of({**claims, **await self._userinfo(announced, tokens, found.subject)})
        return found

    async def way_out(self, back: str, now: datetime) -> str | None:
        """Where the browser can sign out at the provider as well (RP-Initiated Logout 1.0), if it offers that."""
        try:
            async with self._in_time():
                announced = await self._announced(now)
        except Unavailable:
            return None
        if announced.end_session_endpoint is None:
            return None
        asked = {"client_id": self._client_id, "post_logout_redirect_uri": back}
        return _with(announced.end_session_endpoint, asked)

    @asynccontextmanager
    async def _in_time(self) -> AsyncGenerator[None]:
        """Libraries and certificates are loaded beside the event loop and outside of the time that is allowed."""
        if self._trust is None:
            self._trust = await asyncio.to_thread(_prepared)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                yield
        except TimeoutError as late:
            raise self._away("no answer in time") from late

    async def _announced(self, now: datetime) -> Metadata:
        async with self._asking:
            known = self._metadata
            if known is not None and now - known.at < FRESH:
                return known.what
            try:
                found = await self._discovered()
            except Unavailable:
                if known is None:
                    raise
                return known.what
            self._metadata = Learned(found, now)
            return found

    async def _discovered(self) -> Metadata:
        found = self._read(await self._ask("GET", self.issuer.rstrip("/") + WELL_KNOWN), Metadata)
        if found.issuer.rstrip("/") != self.issuer.rstrip("/"):
            raise self._away(f"it calls itself {found.issuer[:200]!r}, not what oidc_issuer says")
        ways = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint)
        if not all(is_protected(way) for way in (*ways, found.end_session_endpoint) if way is not None):
            raise self._away("it announces addresses without https")
        return found

    async def _redeemed(self, announced: Metadata, attempt: Attempt, code: str) -> Tokens:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": attempt.redirect_uri}
        form |= {"code_verifier": attempt.verifier}
        proof: Any = None
        if self._secret and "client_secret_basic" in announced.token_endpoint_auth_methods_supported:
            proof = _basic(self._client_id, self._secret)
        else:
            form |= {"client_id": self._client_id}
            form |= {"client_secret": self._secret} if self._secret else {}
        return self._read(await self._ask("POST", announced.token_endpoint, data=form, auth=proof), Tokens)

    async def _believed(self, announced: Metadata, tokens: Tokens, nonce: str, now: datetime) -> Mapping[str, Any]:
        allowed = safe_algorithms(announced.id_token_signing_alg_values_supported)
        if not allowed:
            raise Refused(f"{self.name} signs with no algorithm that is safe to believe")
        expected = Expected(announced.issuer, self._client_id, nonce, allowed, tokens.access_token)
        keys = await self._key_set(announced, now, since=now - FRESH)
        try:
            return id_token.read(tokens.id_token, keys, expected, now)
        except UnknownKey:
            keys = await self._key_set(announced, now, since=now)
        try:
            return id_token.read(tokens.id_token, keys, expected, now)
        except UnknownKey as unknown:
            raise Refused(id_token.NOT_SIGNED) from unknown

    async def _key_set(self, announced: Metadata, now: datetime, *, since: datetime) -> Any:
        from joserfc.errors import JoseError  # noqa: PLC0415
        from joserfc.jwk import KeySet  # noqa: PLC0415

        async with self._asking:
            if self._keys is None or self._keys.at < since:
                found = self._read(await self._ask("GET", announced.jwks_uri), dict[str, Any])
                try:
                    self._keys = Learned(KeySet.import_key_set(found), now)  # pyright: ignore[reportArgumentType]
                except (JoseError, ValueError, KeyError, TypeError) as fault:
                    raise self._away("its keys cannot be read") from fault
            return self._keys.what

    async def _userinfo(self, announced: Metadata, tokens: Tokens, subject: str) -> Mapping[str, Any]:
        """Nothing when the provider has none. It must speak of the same person (section 5.3.2)."""
        if announced.userinfo_endpoint is None or not tokens.access_token:
            return {}
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        found = self._read(await self._ask("GET", announced.userinfo_endpoint, headers=bearer), dict[str, Any])
        if found.get("sub") != subject:
            raise Refused(id_token.NOT_FOR_US)
        return {name: value for name, value in found.items() if name not in ("iss", "sub")}

    async def _ask(self, method: str, url: str, **more: Any) -> bytes:
        """The body of a 200 as far as `MOST_BYTES`. Refused when a code is not taken, else Unavailable."""
        import httpx2  # noqa: PLC0415  22 MB that hubs without a provider do without

        assert self._trust is not None
        try:
            async with (
                httpx2.AsyncClient(verify=self._trust, timeout=PATIENCE_SECONDS) as client,
                client.stream(method, url, **more) as answer,
            ):
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise self._away("its answer is too long")
        except (httpx2.HTTPError, httpx2.InvalidURL) as fault:
            raise self._away(repr(fault)) from fault
        if answer.status_code == HTTPStatus.OK:
            return body
        if _error_word(body) == "invalid_grant":
            raise Refused(f"{self.name} no longer knows this sign-in; it may have been used already, so start again")
        raise self._away(f"{method} {url.partition('?')[0]} answered {answer.status_code} {_error_word(body)}")

    def _read(self, body: bytes, kind: type[Any]) -> Any:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as fault:
            raise self._away(f"its answer cannot be read: {fault}") from fault

    def _check_issuer(self, announced: Metadata, returned: Returned) -> None:
        """A code that another provider gave out is not brought to this one (RFC 9207)."""
        required = announced.authorization_response_iss_parameter_supported
        if returned.issuer != announced.issuer and (required or returned.issuer):
            raise Refused(id_token.NOT_FOR_US)

    def _away(self, reason: str) -> Unavailable:
        log.warning("the identity provider cannot be used", issuer=self.issuer, reason=reason)
        return Unavailable(f"{self.name} cannot be reached from here now; sign in with your password, or try again")


def _prepared() -> ssl.SSLContext:
    """Half a second's work: the libraries, and the certificates that this machine trusts."""
    for library in ("authlib.oidc.core", "joserfc.jwt"):
        import_module(library)
    import httpx2  # noqa: PLC0415

    trust = ssl.create_default_context()
    httpx2.AsyncClient(verify=trust)  # loads what it needs for its first use
    return trust


def _with(url: str, asked: Mapping[str, str]) -> str:
    import httpx2  # noqa: PLC0415

    return str(httpx2.URL(url).copy_merge_params(asked))


def _basic(client_id: str, secret: str) -> Any:
    """Both are form-encoded first (RFC 6749 section 2.3.1)."""
    return (quote_plus(client_id), quote_plus(secret))


def _error_word(body: bytes) -> str:
    """The OAuth error code, for our log; nothing else of the answer may get there."""
    try:
        return msgspec.json.decode(body, type=Fault).error[:60]
    except msgspec.DecodeError:
        return ""
