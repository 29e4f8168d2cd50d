"""Opens reports that were encrypted to a home's public key (contract section 4.5); pure.

Both forms begin with a fresh compressed P-256 key, 33 bytes, whose agreement with the home's key is the secret:

    v1   iv[12] ciphertext tag[16]                   the AES key is the shared x-coordinate as it is
    v2   0x02 counter[8] iv[12] ciphertext tag[16]   HKDF-SHA256 of it: salt = both public keys, info = INFO;
                                                     authenticated with it: the device's id and the counter

The counter is the report's own time in microseconds, so a report that is played back is the same reading again.
"""

import base64
from dataclasses import dataclass
from typing import Any

INFO = b"waystation junctionrelay v2"
VERSION_2 = b"\x02"
KEY_BYTES, COUNTER_BYTES, IV_BYTES = 33, 8, 12


@dataclass(frozen=True, slots=True)
class Opened:
    plain: bytes
    at: int | None  # microseconds; v1 does not say


def opened(text: str, scalar: bytes, device_id: str) -> Opened | None:
    """None when it was encrypted to another key, for another device, or is broken.

    v1 has no version to read, so what looks like v2 is tried as v2 first: the tag tells which it is.
    """
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  slow to load, seldom asked

    message = base64.b64decode(text)
    ephemeral, rest = message[:KEY_BYTES], message[KEY_BYTES:]
    curve = ec.SECP256R1()
    key = ec.derive_private_key(int.from_bytes(scalar, "big"), curve)
    try:
        shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, ephemeral))
    except ValueError:
        return None
    count, box = rest[1 : 1 + COUNTER_BYTES], rest[1 + COUNTER_BYTES :]
    if rest[:1] == VERSION_2:
        plain = _decrypted(_derived(shared, ephemeral + _compressed(key.public_key())), box, device_id.encode() + count)
        if plain is not None:
            return Opened(plain, int.from_bytes(count, "big"))
    plain = _decrypted(shared, rest, None)
    return None if plain is None else Opened(plain, None)


def _derived(shared: bytes, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(SHA256(), 32, salt, INFO).derive(shared)


def _compressed(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def _decrypted(key: bytes, box: bytes, along: bytes | None) -> bytes | None:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        return AESGCM(key).decrypt(box[:IV_BYTES], box[IV_BYTES:], along)
    except (InvalidTag, ValueError):
        return None
