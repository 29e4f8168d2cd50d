"""A home's own P-256 key pair: what its devices encrypt to. Made when first needed, its private half sealed at rest."""

import base64
import binascii
from datetime import datetime

from waystation.devices import store
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid
from waystation.kernel.sealing import Sealing

SCALAR_BYTES = 32


def public_key(tx: Tx, sealing: Sealing, home_id: int, now: datetime) -> str:
    """Base64 of the compressed point, 33 bytes."""
    if (found := store.key_of_home(tx, home_id)) is not None:
        return found.public_key
    point, scalar = _made()
    store.add_key_of_home(tx, home_id, now, public_key=point, sealed=sealing.seal(scalar))
    kept = store.key_of_home(tx, home_id)
    return kept.public_key if kept is not None else point


def private_key(tx: Tx, sealing: Sealing, home_id: int) -> bytes | None:
    """The scalar, 32 bytes big-endian; None when no device was ever registered with it."""
    found = store.key_of_home(tx, home_id)
    return None if found is None else sealing.open(found.sealed)


def check_public_key(text: str) -> str:
    """An owner's own key, whose private half we never see; blanks and line ends are taken out."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  slow to load, seldom asked

    plain = "".join(text.split())
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), base64.b64decode(plain, validate=True))
    except (ValueError, binascii.Error) as fault:
        raise Invalid("a public key is base64 of a point on P-256, 33 or 65 bytes") from fault
    return plain


def _made() -> tuple[str, bytes]:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    pair = ec.generate_private_key(ec.SECP256R1())
    compressed = serialization.PublicFormat.CompressedPoint
    point = pair.public_key().public_bytes(serialization.Encoding.X962, compressed)
    return base64.b64encode(point).decode(), pair.private_numbers().private_value.to_bytes(SCALAR_BYTES, "big")
