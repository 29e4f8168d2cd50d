"""How clients encrypt a report, written from the contract (4.5, v1) and from the agent's description (v2)."""

import base64
import os
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def sealed_v1(plain: bytes, public_key: str) -> str:
    fresh, owner = ec.generate_private_key(ec.SECP256R1()), _point(public_key)
    iv = os.urandom(12)
    box = AESGCM(fresh.exchange(ec.ECDH(), owner)).encrypt(iv, plain, None)
    return base64.b64encode(_compressed(fresh.public_key()) + iv + box).decode()


def sealed_v2(plain: bytes, public_key: str, device_id: str, counter: int) -> str:
    fresh, owner = ec.generate_private_key(ec.SECP256R1()), _point(public_key)
    ephemeral, count, iv = _compressed(fresh.public_key()), counter.to_bytes(8, "big"), os.urandom(12)
    derive = HKDF(SHA256(), 32, ephemeral + _compressed(owner), b"waystation junctionrelay v2")
    box = AESGCM(derive.derive(fresh.exchange(ec.ECDH(), owner))).encrypt(iv, plain, device_id.encode() + count)
    return base64.b64encode(ephemeral + b"\x02" + count + iv + box).decode()


def _point(public_key: str) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), base64.b64decode(public_key))


def _compressed(key: Any) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
