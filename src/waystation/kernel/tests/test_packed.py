import gzip
from collections.abc import Callable

import pytest

from waystation.kernel.errors import Invalid, TooLarge
from waystation.kernel.packed import unpacked

PLAIN = b'{"values":{"a":1}}'
MOST = 1_048_576


def test_gzip_is_unpacked() -> None:
    assert unpacked(gzip.compress(PLAIN), b"gzip", MOST) == PLAIN
    assert unpacked(PLAIN, b"", MOST) == PLAIN


def test_a_gzip_bomb_is_given_up_at_the_limit() -> None:
    with pytest.raises(TooLarge):
        unpacked(gzip.compress(bytes(64 * MOST)), b"gzip", MOST)


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b + b"x", lambda b: b"x" + b, lambda b: b + b])
def test_damaged_gzip_is_refused(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Invalid):
        unpacked(damage(gzip.compress(PLAIN)), b"gzip", MOST)


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(Invalid, match="'br' is not understood"):
        unpacked(b"x", b"br", MOST)
