import io
import json
import os
import re
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyotp import TOTP
from typer.testing import CliRunner

from waystation import cli, devices
from waystation.devices import keypair
from waystation.identity import store as people
from waystation.identity.factors import service as factors
from waystation.identity.factors import totp
from waystation.identity.factors.service import Mine
from waystation.kernel import mail
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.desk import Desk
from waystation.kernel.errors import Conflict, DomainError, Invalid
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing, new_secret
from waystation.operation import archive, archive_lock, backup_code, start
from waystation.operation.archive import Damaged
from waystation.operation.archive_lock import Lock, Locked
from waystation.operation.restore_command import lost
from waystation.operation.restore_key import Given
from waystation.operation.tests.conftest import settings_of
from waystation.operation.tests.saving import brought_back, names_of_devices, opened_with, saved, tree

CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){5}")
OTHER = "0000-0000-0000-0000-0000-0000"
WORDS = "four rather unrelated words"


@dataclass(frozen=True)
class Site:
    """A hub that somebody uses, and all that is secret in it."""

    data: Path
    person_id: int
    recovery_codes: list[str]
    secrets: dict[str, bytes]


def desk_of(data: Path) -> Desk:
    return start.open_desk(settings_of(data), {})


@pytest.fixture
def site(data: Path) -> Site:
    keys, desk = KeyRing(data / "keys"), desk_of(data)
    sealing, link, secrets = Sealing(keys), new_secret(), dict[str, bytes]()
    now = desk.now()
    with desk.database.write() as tx:
        ann = people.add_person(tx, email="ann@example.org", name="Ann", password_hash="", now=now)
        app_secret = totp.offer(tx, sealing, ann, now)
        mine = Mine(ann, COMMAND_LINE)
        codes = factors.confirm_app(tx, sealing, mine, now, code=TOTP(app_secret).at(now))
        keypair.public_key(tx, sealing, desk.home_id, now)
        secrets["home key"] = keypair.private_key(tx, sealing, desk.home_id) or b""
        secrets["API key"] = devices.register(tx, COMMAND_LINE, desk.home_id, now, name="Porch").api_key.encode()
        mail.send(tx, now, to="ann@example.org", subject="Choose a new password", text=f"https://hub/reset/{link}")
    desk.database.close()
    secrets |= {"app secret": app_secret.encode(), "link": link.encode(), "recovery code": codes[0].encode()}
    queued = data / "nats/jetstream/WAYSTATION"
    queued.mkdir(parents=True)
    secrets["waiting message"] = new_secret().encode()
    (queued / "1.blk").write_bytes(secrets["waiting message"])
    for name in ("sealing", "forms", "access-tokens", "nats-password"):
        secrets[f"key {name}"] = keys.get(name)
    return Site(data, ann, codes, secrets)


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {one.name: (tar.extractfile(one) or io.BytesIO()).read() for one in tar}


def leaks(text: bytes, secrets: dict[str, bytes]) -> set[str]:
    return {name for name, secret in secrets.items() if secret in text}


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
@pytest.mark.parametrize("passphrase", ["", WORDS])
def test_no_secret_is_in_a_backup(site: Site, tmp_path: Path, name: str, passphrase: str) -> None:
    saved(site.data, tmp_path / name, passphrase=passphrase)
    opening = {"passphrase": WORDS.encode()}
    if not passphrase:
        code = backup_code.known(site.data) or ""
        opening = {"code": code.encode(), "plain code": backup_code.plain(code).encode()}
    found = members(tmp_path / name)
    assert b"Porch" in found["waystation.db"]  # what is not secret is found, so secrets would be
    assert set(found) == {"backup.json", "waystation.db", "keys.tar.locked", "queue.tar.locked"}
    for text in ((tmp_path / name).read_bytes(), *found.values()):
        assert leaks(text, site.secrets | opening) == set()


def test_the_secrets_are_looked_for_where_they_are(site: Site) -> None:
    """Else the test above proves nothing: on the hub they lie in the clear, but for those digested or sealed."""
    everything = b"".join(path.read_bytes() for path in site.data.rglob("*") if path.is_file())
    digested_or_sealed = {"API key", "app secret", "recovery code", "home key"}
    assert leaks(everything, site.secrets) >= site.secrets.keys() - digested_or_sealed - {"link"}


@pytest.mark.parametrize("passphrase", ["", WORDS])
def test_everything_secret_comes_back(site: Site, tmp_path: Path, passphrase: str) -> None:
    saved(site.data, tmp_path / "b.tar", passphrase=passphrase)
    (tmp_path / "words").write_text(f"{passphrase}\n")
    how = Given(passphrase_file=tmp_path / "words") if passphrase else Given()
    assert opened_with(how, tmp_path / "b.tar", tmp_path / "again").lost == {}
    for path in (site.data / "keys").iterdir():
        assert (tmp_path / "again/keys" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "again/nats/jetstream/WAYSTATION/1.blk").read_bytes() == site.secrets["waiting message"]
    desk = desk_of(tmp_path / "again")
    sealing = Sealing(KeyRing(tmp_path / "again/keys"))
    with desk.database.read() as tx:
        assert site.secrets["link"].decode() in mail.waiting(tx)[0].letter.text
        assert keypair.private_key(tx, sealing, desk.home_id) == site.secrets["home key"]
        row: Any = totp.store.totp_of(tx, site.person_id)
        assert sealing.open(row.secret) == site.secrets["app secret"]
    desk.database.close()


def test_without_the_keys_everything_else_comes_back_and_the_loss_is_told(site: Site, tmp_path: Path) -> None:
    saved(site.data, tmp_path / "b.tar")
    done = opened_with(Given(without_keys=True), tmp_path / "b.tar", tmp_path / "again")
    assert done.lost == {"totp": 1, "home_key": 1, "outbox": 5}  # one mail, and a notice for each device
    told = "\n".join(lost(done))
    for words in ("apps of 1 person", "report encrypted", "not left yet: 5", "MQTT messages", "signing keys"):
        assert words in told
    assert tree(tmp_path / "again") == {"waystation.db"}
    assert names_of_devices(tmp_path / "again") == names_of_devices(site.data)


def test_without_the_keys_a_recovery_code_still_signs_in_and_nothing_less_does(site: Site, tmp_path: Path) -> None:
    saved(site.data, tmp_path / "b.tar")
    opened_with(Given(without_keys=True), tmp_path / "b.tar", tmp_path / "again")
    desk, sealing = desk_of(tmp_path / "again"), Sealing(KeyRing(tmp_path / "again/keys"))
    now = desk.now()
    app_code = TOTP(site.secrets["app secret"].decode()).at(now)
    with desk.database.write() as tx:
        assert factors.factors(tx, site.person_id).second_step
        assert factors.code_fits(tx, sealing, site.person_id, now, code=app_code) is None
        assert factors.code_fits(tx, sealing, site.person_id, now, code=site.recovery_codes[0]) == "recovery code"
        secret = totp.offer(tx, sealing, site.person_id, now)
        totp.confirm(tx, sealing, site.person_id, now, code=TOTP(secret).at(now))
        keypair.public_key(tx, sealing, desk.home_id, now)
        assert keypair.private_key(tx, sealing, desk.home_id) is not None
    desk.database.close()


def elsewhere(data: Path, tmp_path: Path, *, passphrase: str = "") -> Path:
    """A backup on a machine that knows nothing of the hub."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    saved(data, folder / "b.tar", passphrase=passphrase)
    return folder / "b.tar"


def test_a_wrong_code_changes_nothing(data: Path, tmp_path: Path) -> None:
    file = elsewhere(data, tmp_path)
    before = file.read_bytes()
    for wrong in (OTHER, "", "nonsense", "ü" * 300):
        with pytest.raises(Locked, match="not the recovery code"):
            opened_with(Given(code=wrong), file, file.parent / "again")
    assert tree(file.parent) == {"b.tar"}
    assert file.read_bytes() == before


def test_without_a_code_or_a_terminal_the_way_is_told(data: Path, tmp_path: Path) -> None:
    file = elsewhere(data, tmp_path)
    with pytest.raises(Locked, match="--code"):
        opened_with(Given(), file, file.parent / "again")
    assert tree(file.parent) == {"b.tar"}


def test_a_code_is_taken_as_people_write_it(data: Path, tmp_path: Path) -> None:
    file = elsewhere(data, tmp_path)
    code = backup_code.known(data) or ""
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    opened_with(Given(code=f" {typed}\n"), file, file.parent / "again")
    assert names_of_devices(file.parent / "again") == ["Kitchen", "Hall", "Shed"]


def test_the_file_of_the_code_opens_as_well(data: Path, tmp_path: Path) -> None:
    file = elsewhere(data, tmp_path)
    opened_with(Given(passphrase_file=data / "keys/backup.key"), file, file.parent / "again")
    assert (file.parent / "again/keys/forms.key").exists()


def test_a_wrong_passphrase_changes_nothing(data: Path, tmp_path: Path) -> None:
    file = elsewhere(data, tmp_path, passphrase=WORDS)
    (tmp_path / "words").write_text(WORDS.upper())
    with pytest.raises(Locked, match="not the passphrase"):
        opened_with(Given(passphrase_file=tmp_path / "words"), file, file.parent / "again")
    with pytest.raises(Locked, match="--passphrase-file"):
        opened_with(Given(code=OTHER), file, file.parent / "again")
    assert tree(file.parent) == {"b.tar"}


def test_a_short_passphrase_is_refused_before_anything_is_made(data: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="12 characters"):
        saved(data, tmp_path / "b.tar", passphrase="short")
    assert not (tmp_path / "b.tar").exists()
    assert not (data / "keys/backup.key").exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_file_without_a_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "words").write_bytes(content)
    with pytest.raises(Invalid):
        backup_code.passphrase_in(tmp_path / "words")
    with pytest.raises(Invalid):
        backup_code.passphrase_in(tmp_path)


def test_the_ways_to_open_exclude_each_other() -> None:
    with pytest.raises(Invalid, match="exclude"):
        Given(code=OTHER, without_keys=True).check()


def test_the_code_is_made_once_and_its_owners_only(data: Path, tmp_path: Path) -> None:
    saved(data, tmp_path / "1.tar")
    first = backup_code.known(data)
    saved(data, tmp_path / "2.tar")
    assert backup_code.known(data) == first
    assert CODE.fullmatch(first or "")
    assert (data / "keys/backup.key").stat().st_mode & 0o777 == 0o600


def test_a_restored_hub_keeps_its_code(data: Path, tmp_path: Path) -> None:
    saved(data, tmp_path / "b.tar")
    brought_back(tmp_path / "b.tar", tmp_path / "again")
    assert backup_code.known_or_new(tmp_path / "again") == (backup_code.known(data), False)


def changed(file: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> None:
    """An archive whose list of contents fits what somebody has made of it."""
    found = members(file)
    listed = json.loads(found.pop("backup.json"))
    change(found, listed)
    listed["members"] = {
        name: {"size_bytes": len(content), "sha256": sha256(content).hexdigest()} for name, content in found.items()
    }
    with tarfile.open(file, "w") as tar:
        for name, content in {"backup.json": json.dumps(listed).encode(), **found}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("at", [0, 12, 600, -17, -1])
def test_locked_keys_that_somebody_changed_are_refused(data: Path, tmp_path: Path, at: int) -> None:
    def turn_a_bit(found: dict[str, bytes], _listed: dict[str, Any]) -> None:
        hurt = bytearray(found["keys.tar.locked"])
        hurt[at] ^= 1
        found["keys.tar.locked"] = bytes(hurt)

    saved(data, tmp_path / "b.tar")
    changed(tmp_path / "b.tar", turn_a_bit)
    with pytest.raises(Locked, match="does not belong to its lock"):
        brought_back(tmp_path / "b.tar", tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("content", [b"", b"x" * 12, b"x" * 28])
def test_locked_keys_that_were_cut_are_refused(data: Path, tmp_path: Path, content: bytes) -> None:
    saved(data, tmp_path / "b.tar")
    changed(tmp_path / "b.tar", lambda found, _: found.update({"keys.tar.locked": content}))
    with pytest.raises(Conflict):
        brought_back(tmp_path / "b.tar", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_keys_of_another_backup_are_refused(data: Path, tmp_path: Path) -> None:
    saved(data, tmp_path / "1.tar")
    saved(data, tmp_path / "2.tar")
    foreign = members(tmp_path / "1.tar")["keys.tar.locked"]
    changed(tmp_path / "2.tar", lambda found, _: found.update({"keys.tar.locked": foreign}))
    with pytest.raises(Locked):
        brought_back(tmp_path / "2.tar", tmp_path / "again")


def test_a_backup_without_its_lock_is_refused(data: Path, tmp_path: Path) -> None:
    saved(data, tmp_path / "b.tar")
    changed(tmp_path / "b.tar", lambda _, listed: listed.pop("lock"))
    with pytest.raises(Damaged, match="no lock"):
        brought_back(tmp_path / "b.tar", tmp_path / "again")


ABSURD = (-(1 << 70), -1, 0, 1 << 30, 1 << 70)


@pytest.mark.parametrize("field", ["n", "r", "p"])
@pytest.mark.parametrize("number", ABSURD)
def test_a_lock_cannot_take_more_than_we_would(field: str, number: int) -> None:
    with pytest.raises(Locked):
        archive_lock.opened(replace(Lock("code", 16, 8, 3, b"salt", b"x" * 40), **{field: number}), "secret")


@pytest.mark.parametrize("lock", [Lock("code", 17, 8, 3, b"", b"x" * 40), Lock("code", 16, 8, 3, b"", b"")])
def test_a_lock_that_cannot_be_is_refused(lock: Lock) -> None:
    with pytest.raises(Locked):
        archive_lock.opened(lock, "secret")


def test_archives_of_the_first_format_still_come_back(data: Path, tmp_path: Path) -> None:
    """They had their keys in the clear, as keys.tar, and no lock."""

    def as_it_was(found: dict[str, bytes], listed: dict[str, Any]) -> None:
        del found["keys.tar.locked"], listed["lock"]
        listed["format"] = 1
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(data / "keys/forms.key", "forms.key")
        found["keys.tar"] = packed.getvalue()

    file = elsewhere(data, tmp_path)
    changed(file, as_it_was)
    assert brought_back(file, file.parent / "again").format == 1
    assert tree(file.parent / "again") == {"waystation.db", "keys/forms.key"}
    assert (file.parent / "again/keys/forms.key").read_bytes() == (data / "keys/forms.key").read_bytes()
    assert names_of_devices(file.parent / "again") == ["Kitchen", "Hall", "Shed"]


def test_a_format_of_tomorrow_is_named(data: Path, tmp_path: Path) -> None:
    saved(data, tmp_path / "b.tar")
    changed(tmp_path / "b.tar", lambda _, listed: listed.update({"format": 3}))
    with pytest.raises(Damaged, match="format 3"):
        brought_back(tmp_path / "b.tar", tmp_path / "again")


def test_many_letters_are_locked_and_opened_each_for_itself(data: Path, tmp_path: Path) -> None:
    desk = desk_of(data)
    with desk.database.write() as tx:
        for number in range(1203):
            mail.send(tx, desk.now(), to="ann@example.org", subject=f"{number}", text=f"same words {number % 2}")
    desk.database.close()
    saved(data, tmp_path / "b.tar")
    assert b"same words" not in members(tmp_path / "b.tar")["waystation.db"]
    brought_back(tmp_path / "b.tar", tmp_path / "again")
    again = desk_of(tmp_path / "again")
    with again.database.read() as tx:
        found = [(one.letter.subject, one.letter.text) for one in mail.waiting(tx)]
    again.database.close()
    assert found == [(f"{number}", f"same words {number % 2}") for number in range(1203)]


Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    main = cli.gather()
    for name in [name for name in os.environ if name.startswith("WAYSTATION_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def command(*words: object, typed: str | None = None) -> Any:
        return CliRunner().invoke(main, [*map(str, words)], input=typed)

    return command


def test_a_new_code_is_printed_once_and_then_when_asked(data: Path, tmp_path: Path, run: Run) -> None:
    first = run("backup", tmp_path / "1.tar", "--data", data)
    code = backup_code.known(data) or ""
    assert CODE.fullmatch(code)
    assert first.exit_code == 0, first.output
    assert first.output.count(code) == 1
    assert "Write it down" in first.output
    assert code not in run("backup", tmp_path / "2.tar", "--data", data).output
    assert run("backup", "--show-code", "--data", data).output == f"{code}\n"


def test_programs_get_a_new_code_as_a_fact(data: Path, tmp_path: Path, run: Run) -> None:
    told = [json.loads(run("backup", tmp_path / f"{n}.tar", "--data", data, "--json").stdout) for n in (1, 2)]
    assert [one["new_code"] for one in told] == [backup_code.known(data), None]


def test_a_code_is_told_also_when_the_backup_fails(data: Path, tmp_path: Path, run: Run) -> None:
    with closing(sqlite3.connect(data / "waystation.db")) as database:
        database.execute("DROP TABLE outbox")
    ended = run("backup", tmp_path / "b.tar", "--data", data)
    assert isinstance(ended.exception, DomainError)
    assert backup_code.known(data) in re.findall(CODE.pattern.replace("(", "(?:"), ended.output)


def test_a_backup_needs_a_name_or_a_question(data: Path, run: Run, tmp_path: Path) -> None:
    assert isinstance(run("backup", "--data", data).exception, Invalid)
    assert isinstance(run("backup", "--show-code", "--data", tmp_path / "nothing").exception, DomainError)
    assert not (tmp_path / "nothing").exists()


def test_the_setting_locks_and_opens(data: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYSTATION_BACKUP_PASSPHRASE", WORDS)
    ended = run("backup", tmp_path / "b.tar", "--data", data)
    assert WORDS not in ended.output
    assert WORDS not in json.dumps(json.loads(members(tmp_path / "b.tar")["backup.json"]))
    assert not (data / "keys/backup.key").exists()
    assert run("restore", tmp_path / "b.tar", "--data", tmp_path / "again").exit_code == 0
    monkeypatch.delenv("WAYSTATION_BACKUP_PASSPHRASE")
    assert isinstance(run("restore", tmp_path / "b.tar", "--data", tmp_path / "third").exception, Locked)
    assert not (tmp_path / "third").exists()


def test_what_is_lost_is_said(site: Site, tmp_path: Path, run: Run) -> None:
    file = elsewhere(site.data, tmp_path)
    ended = run("restore", file, "--without-keys", "--data", file.parent / "again")
    assert "authenticator apps of 1 person" in ended.output
    code = backup_code.known(site.data)
    told = run("restore", file, "--code", code, "--data", file.parent / "third", "--json")
    assert json.loads(told.stdout)["lost"] == []
    assert code not in told.output


def test_the_lock_is_part_of_the_list_of_contents(data: Path, tmp_path: Path) -> None:
    made = saved(data, tmp_path / "b.tar")
    assert made.lock is not None
    assert archive.look(tmp_path / "b.tar") == made
    listed = msgspec.json.decode(members(tmp_path / "b.tar")["backup.json"])["lock"]
    assert (listed["by"], listed["n"], listed["r"], listed["p"]) == ("code", 16, 8, 3)
    with pytest.raises(Locked):
        archive_lock.opened(replace(made.lock, salt=b"x" * 16), backup_code.plain(backup_code.known(data) or ""))
