"""Whether a pasted public key is a point on the curve P-256, in whole numbers only (JR-A11)."""

import base64
import binascii

from waystation_agent.errors import BadInput

# NIST P-256 (FIPS 186-4, D.1.2.3): y² = x³ - 3x + B modulo P.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def parse_public_key(text: str) -> bytes:
    """Return the key as it was given, 33 or 65 bytes. Blanks and line ends inside the text do not matter."""
    try:
        point = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("publicKey is not base64; copy the whole line again from the owner's page") from error
    if not _is_on_curve(point):
        raise BadInput(
            f"publicKey ({len(point)} bytes) is no point on the curve P-256; copy the whole line again from the "
            "owner's page"
        )
    return point


def in_whole(text: str) -> str:
    """Return a public key in the 65-byte form that the Python client keeps; what is no key, as it is."""
    try:
        return base64.b64encode(_whole(parse_public_key(text))).decode()
    except BadInput:
        return text


def _whole(point: bytes) -> bytes:
    if len(point) == 65:
        return point
    x = int.from_bytes(point[1:])
    y = _root(_square(x))
    if y % 2 != point[0] % 2:
        y = P - y
    return b"\x04" + point[1:] + y.to_bytes(32)


def _is_on_curve(point: bytes) -> bool:
    x = int.from_bytes(point[1:33], "big")
    if len(point) == 33 and point[0] in {2, 3}:
        return x < P and pow(_root(_square(x)), 2, P) == _square(x)
    if len(point) == 65 and point[0] == 4:
        y = int.from_bytes(point[33:])
        return x < P and y < P and y * y % P == _square(x)
    return False


def _square(x: int) -> int:
    return (x * x * x - 3 * x + B) % P


def _root(square: int) -> int:
    """Return a square root modulo P, if there is one: P is 3 modulo 4."""
    return pow(square, (P + 1) // 4, P)
