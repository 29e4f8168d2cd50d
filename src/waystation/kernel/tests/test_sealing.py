from pathlib import Path

import pytest

from waystation.kernel.errors import Unavailable
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing


@pytest.fixture
def sealing(tmp_path: Path) -> Sealing:
    return Sealing(KeyRing(tmp_path / "keys"))


def test_what_was_sealed_is_read_again_and_not_seen_in_between(sealing: Sealing) -> None:
    sealed = sealing.seal(b"JBSWY3DPEHPK3PXP")
    assert b"JBSWY3DPEHPK3PXP" not in sealed
    assert sealing.open(sealed) == b"JBSWY3DPEHPK3PXP"


def test_the_same_secret_never_looks_the_same(sealing: Sealing) -> None:
    assert sealing.seal(b"secret") != sealing.seal(b"secret")


def test_secrets_outlive_their_key_any_number_of_times(sealing: Sealing, tmp_path: Path) -> None:
    sealed = [sealing.seal(b"0")]
    for number in range(1, 12):
        sealing.replace_key()
        sealed.append(sealing.seal(str(number).encode()))
    assert [Sealing(KeyRing(tmp_path / "keys")).open(one) for one in sealed] == [str(n).encode() for n in range(12)]


def test_what_is_resealed_needs_the_newest_key_only(sealing: Sealing, tmp_path: Path) -> None:
    sealed = sealing.seal(b"secret")
    sealing.replace_key()
    fresh = sealing.reseal(sealed)
    for earlier in (tmp_path / "keys").glob("sealing.*.key"):
        earlier.unlink()
    assert sealing.open(fresh) == b"secret"
    with pytest.raises(Unavailable, match="restore the keys"):
        sealing.open(sealed)


def test_a_changed_secret_is_not_opened(sealing: Sealing) -> None:
    sealed = bytearray(sealing.seal(b"secret"))
    sealed[20] ^= 1
    with pytest.raises(Unavailable):
        sealing.open(bytes(sealed))


def test_every_key_is_for_the_owner_only(sealing: Sealing, tmp_path: Path) -> None:
    sealing.seal(b"secret")
    sealing.replace_key()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}
    assert len(list((tmp_path / "keys").iterdir())) == 2
