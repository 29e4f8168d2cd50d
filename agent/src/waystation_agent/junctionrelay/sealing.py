"""Reports that only the owner's private key opens (contract 4.5): the Python client's form v1, and a better v2.

Both begin with a fresh public key of P-256, 33 bytes, and are base64 of:

    v1   key[33]                       iv[12] ciphertext tag[16]      AES key: the shared x-coordinate as it is
    v2   key[33] 0x02 counter[8]       iv[12] ciphertext tag[16]      AES key: HKDF-SHA256(shared x-coordinate)

v2: salt = key[33] + the owner's key[33], info = "waystation junctionrelay v2", 32 bytes; additional authenticated data:
the device id in UTF-8 + counter[8]. The counter is the report's time in microseconds since 1970, big-endian: it grows
with every report and is the same when a report is sent again, so a receiver can tell a replay. AES-256-GCM in both.

Needs the extra `encrypted`; import it only where reports are sealed.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from waystation_agent.errors import BadInput
from waystation_agent.junctionrelay.curve import parse_public_key

INFO = b"waystation junctionrelay v2"
VERSION_2 = b"\x02"
KEY_BYTES, COUNTER_BYTES, IV_BYTES = 33, 8, 12


def seal_v1(plain: bytes, public_key: str) -> str:
    fresh, owner = ec.generate_private_key(ec.SECP256R1()), _point(parse_public_key(public_key))
    return _text(_compressed(fresh.public_key()), _encrypted(fresh.exchange(ec.ECDH(), owner), plain, None))


def seal_v2(plain: bytes, public_key: str, *, device_id: str, counter: int) -> str:
    fresh, owner = ec.generate_private_key(ec.SECP256R1()), _point(parse_public_key(public_key))
    ephemeral, count = _compressed(fresh.public_key()), counter.to_bytes(COUNTER_BYTES, "big")
    key = _derived(fresh.exchange(ec.ECDH(), owner), ephemeral + _compressed(owner))
    return _text(ephemeral, VERSION_2, count, _encrypted(key, plain, device_id.encode() + count))


def open_sealed(text: str, private_key_pem: bytes, device_id: str) -> tuple[bytes, int | None]:
    """Return what was sealed, and its counter; None for v1, which has none. Raises BadInput if it cannot be opened.

    v1 has no version to read, so what looks like v2 is tried as v2 first: the tag tells which it is.
    """
    key = load_pem_private_key(private_key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadInput("the private key is not one of an elliptic curve")
    message = base64.b64decode(text)
    ephemeral, rest = message[:KEY_BYTES], message[KEY_BYTES:]
    shared = key.exchange(ec.ECDH(), _point(ephemeral))
    count, sealed = rest[1 : 1 + COUNTER_BYTES], rest[1 + COUNTER_BYTES :]
    if rest[:1] == VERSION_2:
        derived = _derived(shared, ephemeral + _compressed(key.public_key()))
        plain = _decrypted(derived, sealed, device_id.encode() + count)
        if plain is not None:
            return plain, int.from_bytes(count, "big")
    plain = _decrypted(shared, rest, None)
    if plain is None:
        raise BadInput("this report was not sealed for this key and device")
    return plain, None


def _point(encoded: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded)
    except ValueError as error:
        raise BadInput("this is no sealed report") from error


def _compressed(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def _derived(shared: bytes, salt: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, INFO).derive(shared)


def _encrypted(key: bytes, plain: bytes, aad: bytes | None) -> bytes:
    iv = os.urandom(IV_BYTES)
    return iv + AESGCM(key).encrypt(iv, plain, aad)


def _decrypted(key: bytes, sealed: bytes, aad: bytes | None) -> bytes | None:
    try:
        return AESGCM(key).decrypt(sealed[:IV_BYTES], sealed[IV_BYTES:], aad)
    except (InvalidTag, ValueError):
        return None


def _text(*parts: bytes) -> str:
    return base64.b64encode(b"".join(parts)).decode()
