"""SHA-256 of what is in flash, in small pieces, with a breath for the other tasks between them."""

import asyncio
import binascii
import hashlib

_PIECE_BYTES = 512
_PIECES_A_BREATH = 16


async def digest_of(path, start=0, most_bytes=1 << 30):
    """A running digest of the file's bytes from `start`."""
    digest = hashlib.sha256()
    view = memoryview(bytearray(_PIECE_BYTES))
    pieces = 0
    with open(path, "rb") as file:
        file.seek(start)
        while most_bytes:
            count = file.readinto(view[: min(most_bytes, _PIECE_BYTES)])
            if not count:
                break
            digest.update(view[:count])
            most_bytes -= count
            pieces += 1
            if pieces % _PIECES_A_BREATH == 0:
                await asyncio.sleep(0)
    return digest


async def sha256(path):
    """As hexadecimal text."""
    return hexadecimal(await digest_of(path))


def hexadecimal(digest):
    return binascii.hexlify(digest.digest()).decode()
