import os
import stat
import threading
from pathlib import Path

from waystation.kernel import secrets
from waystation.kernel.secrets import KeyRing, make_folder, new_secret, same, write_private

URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_256_random_bits_that_fit_into_an_address() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(len(secret) == 43 and set(secret) <= URL_SAFE for secret in made)


def test_equal_is_equal_whether_text_or_bytes__G_7() -> None:
    assert same("abc", b"abc")
    assert not same("abc", "abd")
    assert not same("abc", "abcd")
    assert not same("", "abc")
    assert same("grüße", "grüße")


def test_a_digest_is_the_same_of_text_and_bytes_and_is_not_the_secret__G_9() -> None:
    secret = new_secret()
    assert secrets.digest(secret) == secrets.digest(secret.encode())
    assert len(secrets.digest(secret)) == 32
    assert secret.encode() not in secrets.digest(secret)


def test_a_key_is_made_when_first_asked_for_and_stays(tmp_path: Path) -> None:
    key = KeyRing(tmp_path / "keys").get("forms")
    assert len(key) == 43
    assert KeyRing(tmp_path / "keys").get("forms") == key
    assert KeyRing(tmp_path / "keys").get("nats-account") != key


def test_keys_are_the_owners_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KeyRing(tmp_path / "site" / "keys").get("forms")
    finally:
        os.umask(before)
    assert mode(tmp_path / "site" / "keys" / "forms.key") == 0o600
    assert mode(tmp_path / "site" / "keys") == mode(tmp_path / "site") == 0o700


def test_a_key_that_an_owner_typed_may_end_with_a_line_break(tmp_path: Path) -> None:
    (tmp_path / "forms.key").write_text("typed-by-hand\n")
    assert KeyRing(tmp_path).get("forms") == b"typed-by-hand"


def test_of_processes_that_start_together_all_have_the_same_key(tmp_path: Path) -> None:
    together, found = threading.Barrier(8), []

    def start() -> None:
        together.wait(20)
        found.append(KeyRing(tmp_path / "keys").get("forms"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert set(found) == {KeyRing(tmp_path / "keys").get("forms")}


def test_the_first_of_two_that_write_wins_and_no_draft_is_left(tmp_path: Path) -> None:
    write_private(tmp_path / "a.key", b"first")
    write_private(tmp_path / "a.key", b"second")
    assert (tmp_path / "a.key").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


def test_making_a_folder_that_is_there_changes_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_folder(tmp_path)
    assert mode(tmp_path) == 0o755
