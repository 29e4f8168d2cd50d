"""Signatures by which a receiver knows that a webhook is ours (Standard Webhooks 1.0, symmetric)."""

import base64
import binascii
import hmac
import secrets

from waystation.kernel.errors import Invalid

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(text: str) -> str:
    """Invalid unless any library of the specification takes it."""
    try:
        size = len(base64.b64decode(text.strip().removeprefix(PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not text.strip().startswith(PREFIX) or not LEAST_BYTES <= size <= MOST_BYTES:
        raise Invalid(f"a signing secret is {PREFIX} and then {LEAST_BYTES} to {MOST_BYTES} bytes in base64")
    return text.strip()


def headers(secret: str, uid: str, seconds: int, body: bytes) -> dict[str, str]:
    """`uid` is the same at every try of one message, `seconds` (since 1970) is the time of this try."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = hmac.digest(key, b"%s.%d.%s" % (uid.encode(), seconds, body), "sha256")
    return {
        "webhook-id": uid,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
