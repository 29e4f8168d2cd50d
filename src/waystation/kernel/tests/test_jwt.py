"""Only our own access tokens, of the right kind and in time, are read; everything else is refused in one sentence."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from waystation.kernel.errors import Unauthenticated
from waystation.kernel.jwt import Kind, Tokens
from waystation.kernel.secrets import KeyRing

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KIND = Kind("at+jwt", "people")
HOUR = timedelta(hours=1)
CLAIMS = {"sub": "ann", "sid": 7}
Header = dict[str, Any]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def tokens(keys: KeyRing) -> Tokens:
    return Tokens(keys)


@pytest.fixture(scope="module")
def sign(keys: KeyRing) -> Callable[..., str]:
    """Signs anything at all with the site's true key: what only a flaw of ours could have made."""
    key = OctKey.import_key(keys.get("access-tokens"))

    def sign(payload: str | dict[str, Any], header: Header | None = None) -> str:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        return jws.serialize_compact(header or HEADER, text.encode(), key, algorithms=["HS256", "HS512"])

    return sign


HEADER = {"alg": "HS256", "typ": "at+jwt"}
SECONDS = int(NOW.timestamp())
WHOLE = {"iss": "waystation", "aud": "people", "iat": SECONDS, "exp": SECONDS + 60, **CLAIMS}


def part(given: Any) -> str:
    raw = given if isinstance(given, bytes) else json.dumps(given).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_token_of_ours_says_who_it_is_for(tokens: Tokens) -> None:
    claims = tokens.read(KIND, tokens.make(KIND, NOW, HOUR, CLAIMS), NOW)
    assert claims | CLAIMS == claims
    assert claims["exp"] - claims["iat"] == 3600


def test_no_two_tokens_are_the_same(tokens: Tokens) -> None:
    assert tokens.make(KIND, NOW, HOUR, CLAIMS) != tokens.make(KIND, NOW, HOUR, CLAIMS)


def test_a_token_ends_to_the_second(tokens: Tokens) -> None:
    token = tokens.make(KIND, NOW, HOUR, CLAIMS)
    assert tokens.read(KIND, token, NOW + HOUR - timedelta(microseconds=1))
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.read(KIND, token, NOW + HOUR)


def test_the_forgers_own_control_is_read(tokens: Tokens, sign: Callable[..., str]) -> None:
    """Or every forgery below might be refused for the wrong reason."""
    assert tokens.read(KIND, sign(WHOLE), NOW)["sub"] == "ann"


FORGED_BY_SIGNING: dict[str, tuple[Any, Header]] = {
    "another algorithm": (WHOLE, {**HEADER, "alg": "HS512"}),
    "another typ": (WHOLE, {**HEADER, "typ": "JWT"}),
    "no typ": (WHOLE, {"alg": "HS256"}),
    "a key id that is a path": (WHOLE, {**HEADER, "kid": "../../dev/null"}),
    "a key id that is SQL": (WHOLE, {**HEADER, "kid": "' or 1=1 --"}),
    "a key of its own": (WHOLE, {**HEADER, "jwk": {"kty": "oct", "k": "AAAA"}}),
    "a key from elsewhere": (WHOLE, {**HEADER, "jku": "http://127.0.0.1/keys"}),
    "for another audience": ({**WHOLE, "aud": "devices"}, HEADER),
    "for several audiences": ({**WHOLE, "aud": ["people", "devices"]}, HEADER),
    "no audience": ({k: v for k, v in WHOLE.items() if k != "aud"}, HEADER),
    "another issuer": ({**WHOLE, "iss": "elsewhere"}, HEADER),
    "no issuer": ({k: v for k, v in WHOLE.items() if k != "iss"}, HEADER),
    "no end": ({k: v for k, v in WHOLE.items() if k != "exp"}, HEADER),
    "an end in a text": ({**WHOLE, "exp": str(SECONDS + 60)}, HEADER),
    "an end with a fraction": ({**WHOLE, "exp": SECONDS + 60.5}, HEADER),
    "an end that is true": ({**WHOLE, "exp": True}, HEADER),
    "an end that never comes": (json.dumps(WHOLE).replace(str(SECONDS + 60), "1e400"), HEADER),
    "an end that is no number": (json.dumps(WHOLE).replace(str(SECONDS + 60), "NaN"), HEADER),
    "a claim twice": (json.dumps(WHOLE)[:-1] + ', "sub": "bob"}', HEADER),
    "claims in claims": ({**WHOLE, "more": {"sub": "bob"}}, HEADER),
    "a list of claims": ([WHOLE], HEADER),
    "no JSON": ("sub=ann", HEADER),
    "no text": ("", HEADER),
    "nested too deep": ("[" * 100_000, HEADER),
    "too long": ({**WHOLE, "more": "x" * 5000}, HEADER),
}


@pytest.mark.parametrize("name", FORGED_BY_SIGNING)
def test_even_what_our_key_signed_is_refused_when_it_is_not_ours(
    name: str, tokens: Tokens, sign: Callable[..., str]
) -> None:
    payload, header = FORGED_BY_SIGNING[name]
    try:
        token = sign(payload, header)
    except Exception:  # noqa: BLE001  the library makes no such token either: put one together by hand
        token = by_hand(payload, header)
    with pytest.raises(Unauthenticated):
        tokens.read(KIND, token, NOW)


def by_hand(payload: Any, header: Header, signature: bytes = b"x" * 32) -> str:
    text = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
    return f"{part(header)}.{part(text)}.{part(signature)}"


TWICE = b'{"alg": "none", "alg": "HS256", "typ": "at+jwt"}'
UNSIGNED: dict[str, str] = {
    "no algorithm": by_hand(WHOLE, {"alg": "none", "typ": "at+jwt"}, b""),
    "no algorithm, in capitals": by_hand(WHOLE, {"alg": "NONE", "typ": "at+jwt"}, b""),
    "no signature": by_hand(WHOLE, HEADER, b""),
    "a signature of zeros": by_hand(WHOLE, HEADER, bytes(32)),
    "two parts": by_hand(WHOLE, HEADER).rpartition(".")[0],
    "four parts": by_hand(WHOLE, HEADER) + ".x",
    "encrypted (five parts)": "a.b.c.d.e",
    "empty": "",
    "dots": "..",
    "not base64": "!.!.!",
    "not ASCII": "é.é.é",
    "an algorithm twice": f"{part(TWICE)}.{part(WHOLE)}.{part(bytes(32))}",
    "an algorithm in a list": by_hand(WHOLE, {"alg": ["HS256"], "typ": "at+jwt"}),
}


@pytest.mark.parametrize("name", UNSIGNED)
def test_what_nobody_signed_is_refused(name: str, tokens: Tokens) -> None:
    with pytest.raises(Unauthenticated):
        tokens.read(KIND, UNSIGNED[name], NOW)


def test_a_public_key_is_no_secret_to_sign_with(tokens: Tokens) -> None:
    """The confusion of RS256 with HS256: signed with what everybody may know (RFC 8725 section 2.1)."""
    public = rsa.generate_private_key(65537, 2048).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for key, algorithm in ((OctKey.import_key(part(pem).encode()), "HS256"), (RSAKey.generate_key(2048), "RS256")):
        token = jws.serialize_compact({**HEADER, "alg": algorithm}, json.dumps(WHOLE).encode(), key, [algorithm])
        with pytest.raises(Unauthenticated):
            tokens.read(KIND, token, NOW)


def test_another_sites_token_is_refused(tokens: Tokens, tmp_path: Path) -> None:
    elsewhere = Tokens(KeyRing(tmp_path))
    with pytest.raises(Unauthenticated):
        tokens.read(KIND, elsewhere.make(KIND, NOW, HOUR, CLAIMS), NOW)


def test_a_devices_token_is_no_persons(tokens: Tokens) -> None:
    token = tokens.make(Kind("at+jwt", "devices"), NOW, HOUR, CLAIMS)
    with pytest.raises(Unauthenticated):
        tokens.read(KIND, token, NOW)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_token_with_one_letter_changed_is_refused(tokens: Tokens, at: int) -> None:
    parts = tokens.make(KIND, NOW, HOUR, CLAIMS).split(".")
    parts[at] = parts[at][:5] + ("A" if parts[at][5] != "A" else "B") + parts[at][6:]
    with pytest.raises(Unauthenticated):
        tokens.read(KIND, ".".join(parts), NOW)


def test_a_new_key_ends_every_token(tmp_path: Path) -> None:
    token = Tokens(KeyRing(tmp_path)).make(KIND, NOW, HOUR, CLAIMS)
    (tmp_path / "access-tokens.key").unlink()
    with pytest.raises(Unauthenticated):
        Tokens(KeyRing(tmp_path)).read(KIND, token, NOW)
