"""What is known of a sign-in that is under way at the provider, and of who comes back from it."""

import base64
import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from waystation.kernel import secrets
from waystation.kernel.errors import Refused
from waystation.kernel.settings import Settings

ATTEMPT_LIFETIME: Final = timedelta(minutes=10)
SAFE_ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519", "EdDSA"),
)
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to the provider and back, for one browser. `person_id`: who wants to link, None when signing in."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    next: str
    person_id: int | None = None

    @classmethod
    def new(cls, redirect_uri: str, wanted: str, person_id: int | None = None) -> "Attempt":
        state, nonce, verifier = (random.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, redirect_uri, wanted, person_id)

    @property
    def challenge(self) -> str:
        """S256 of the verifier (RFC 7636 section 4.2)."""
        return base64.urlsafe_b64encode(secrets.digest(self.verifier)).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Returned:
    """What the browser brings back in the address (RFC 6749 section 4.1.2, RFC 9207)."""

    state: str
    code: str
    error: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whom the provider vouches for. `email` is empty when it did not say one."""

    issuer: str
    subject: str
    email: str = ""
    email_is_verified: bool = False
    first_name: str = ""
    last_name: str = ""
    name: str = ""
    groups: frozenset[str] = frozenset()

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> "Visitor":
        """From claims that are verified. Some providers write booleans as words."""
        first, last, full = (_text(claims.get(key)) for key in ("given_name", "family_name", "name"))
        groups: Any = claims.get("groups") or ()
        return cls(
            issuer=claims["iss"],
            subject=claims["sub"],
            email=_text(claims.get("email"), longest=254),
            email_is_verified=claims.get("email_verified") in (True, "true"),
            first_name=first,
            last_name=last,
            name=full or f"{first} {last}".strip() or _text(claims.get("preferred_username")),
            groups=_names([groups] if isinstance(groups, str) else groups),
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """Whom the owner of this site lets in (settings oidc_…)."""

    provider: str
    sign_up: str
    links_by_email: bool
    role: str
    admin_groups: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        return cls(
            provider=settings.oidc_name,
            sign_up=settings.oidc_sign_up,
            links_by_email=settings.oidc_link_by_email,
            role=settings.oidc_role,
            admin_groups=_names(settings.oidc_admin_groups),
        )


def check_returned(returned: Returned, provider: str) -> None:
    """Refused with the reason when the provider, or the person there, said no (RFC 6749 section 4.1.2.1)."""
    if returned.error == "access_denied":
        raise Refused(f"you or {provider} declined, so nobody was signed in")
    if returned.error:
        raise Refused(f"{provider} did not sign you in; it answered {_word(returned.error)!r}")
    if not returned.code:
        raise Refused(f"{provider} sent you back without an answer; try again")


def safe_algorithms(announced: Any) -> list[str]:
    """Of those that the provider announces, RS256 if it announces none; never `none` or one with a shared secret."""
    return [name for name in announced or ("RS256",) if name in SAFE_ALGORITHMS]


def _text(claim: Any, longest: int = LONGEST_NAME) -> str:
    return "".join(sign for sign in claim if sign.isprintable()).strip()[:longest] if isinstance(claim, str) else ""


def _names(groups: Any) -> frozenset[str]:
    """Keycloak writes groups as paths: `/admins`."""
    found: list[Any] = list(groups) if isinstance(groups, list | tuple) else []  # pyright: ignore[reportUnknownArgumentType]
    return frozenset(str(group).lstrip("/") for group in found)


def _word(error: str) -> str:
    """Error codes are ASCII words; anything else did not come from a provider."""
    return error if len(error) < 60 and error.replace("_", "").isalnum() else "an error"
