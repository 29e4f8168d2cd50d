"""Pairing: clear about what is wrong, and never stranded half-way."""

import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from agent.tests.conftest import CODE

from waystation_agent import identity, pairing
from waystation_agent.address import is_on_site, parse_server
from waystation_agent.errors import BadInput, Fault
from waystation_agent.folder import Folder
from waystation_agent.identity import Identity, State
from waystation_agent.link import Link, Server
from waystation_agent.local_hub import LocalHub
from waystation_agent.local_hub.wire import said
from waystation_agent.pairing import Invitation, pair, parse_invitation


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "LONGEST_PAUSE_SECONDS", 0.0)


@pytest.mark.parametrize("text", ["ABCD-EFGH-JKLM", "abcd efgh jklm", " abcdefghjklm\n", "AbCd-EfGhJkLm"])
def test_a_code_is_read_however_it_is_typed(text: str) -> None:
    assert parse_invitation(text, None) == Invitation("http://127.0.0.1:8000", CODE)


def test_the_json_of_the_page_names_the_hub_too() -> None:
    text = '{"server":"http://hub.local:8000/","code":"ABCD-EFGH-JKLM"}'
    assert parse_invitation(text, None) == Invitation("http://hub.local:8000", CODE)
    assert parse_invitation(text, "https://other") == Invitation("https://other", CODE)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("", None),
        ("ABCD-EFGH", None),
        ("ABCD-EFGH-JKL!", None),
        ("ÄBCD-EFGH-JKLM", None),
        ('{"server":"http://hub', None),
        ('{"code":"ABCD-EFGH-JKLM"}', None),
        ('{"server":7,"code":"ABCD-EFGH-JKLM"}', None),
        (CODE, "hub.local"),
        (CODE, "ftp://hub.local"),
        (CODE, "http://"),
        (CODE, "http://me:secret@hub.local"),
        (CODE, "http://hub.local:99999"),
        (CODE, "http://hub.local/?x=1"),
        (CODE, "http://[::1"),
    ],
)
def test_bad_input_is_one_sentence(text: str, server: str | None) -> None:
    with pytest.raises(BadInput, match=r"^[^\n]+$"):
        parse_invitation(text, server)


def test_addresses_have_one_form() -> None:
    assert parse_server(" HTTP://[::1]:8000/// ") == "http://[::1]:8000"
    assert parse_server("https://hub.example.org/waystation/") == "https://hub.example.org/waystation"


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.1.2.3", "192.168.1.9", "172.20.0.1", "169.254.7.7", "::1", "fd00::1"])
def test_private_addresses_are_on_site(ip: str) -> None:
    assert is_on_site(ip)
    assert is_on_site("fe80::1%eth0")
    assert is_on_site("::ffff:192.168.1.9")


@pytest.mark.parametrize("ip", ["8.8.8.8", "172.32.0.1", "2001:4860:4860::8888", "::ffff:8.8.8.8"])
def test_public_addresses_are_not(ip: str) -> None:
    assert not is_on_site(ip)


def test_plain_http_to_a_public_address_hangs_up_before_the_secret_is_sent(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waystation_agent.link.is_on_site", lambda _ip: False)  # no public address is in reach here
    link = Link(Server(hub.url))
    with pytest.raises(BadInput, match="--insecure-http"):
        link.get("/health")
    assert Link(Server(hub.url, insecure_http=True)).get("/health").status == 200


def test_pairing_saves_who_the_device_is_for_its_owner_only(device: Identity, folder: Folder) -> None:
    assert identity.load(folder.identity) == State(device)
    assert device.name == "attic"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", device.api_key)
    for copy in (folder.identity, Path(f"{folder.identity}.bak")):
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_lost_answer_is_made_good_by_claiming_again(hub: LocalHub, folder: Folder) -> None:
    hub.faults.append("cut")
    device = pair(folder.identity, Invitation(hub.url, CODE), Server(hub.url), name="attic")
    assert hub.ledger.knows(device.serial, device.api_key)


def test_a_kill_before_the_answer_is_saved_strands_nobody(hub: LocalHub, folder: Folder) -> None:
    hub.faults.extend(["cut"] * pairing.ATTEMPTS)
    with pytest.raises(Fault, match="run the same command again"):
        pair(folder.identity, Invitation(hub.url, CODE), Server(hub.url), name="attic")
    claim = identity.load(folder.identity).claim
    device = pair(folder.identity, Invitation(hub.url, CODE), Server(hub.url), name="attic")
    assert claim
    assert device.api_key == claim.api_key
    assert hub.ledger.knows(device.serial, device.api_key)


def test_pairing_twice_with_one_code_is_the_same_device(hub: LocalHub, folder: Folder, device: Identity) -> None:
    assert pair(folder.identity, Invitation(hub.url, CODE), Server(hub.url), name="attic") == device


def test_a_refused_code_leaves_the_old_pairing_alone(hub: LocalHub, folder: Folder, device: Identity) -> None:
    with pytest.raises(Fault, match="unknown or has expired"):
        pair(folder.identity, Invitation(hub.url, "WRONGWRONGWR"), Server(hub.url), name="attic")
    assert identity.load(folder.identity).identity == device


def test_a_hub_that_is_away_is_a_fault_with_advice(folder: Folder) -> None:
    with pytest.raises(Fault, match="did not answer"):
        pair(folder.identity, Invitation("http://127.0.0.1:9", CODE), Server("http://127.0.0.1:9"), name="attic")


def test_a_server_that_is_no_hub_is_recognised(hub: LocalHub, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "answer", lambda _request: said({"hello": "world"}))
    with pytest.raises(Fault, match="check the address"):
        pair(folder.identity, Invitation(hub.url, CODE), Server(hub.url), name="attic")


def test_a_damaged_identity_file_is_read_from_its_second_copy(device: Identity, folder: Folder) -> None:
    for damage in (b"", b"{}", b'{"identity": 7, "claim": null}', b"[]", b"\xff\xfe"):
        folder.identity.write_bytes(damage)
        assert identity.load(folder.identity).identity == device


def test_two_damaged_copies_are_a_fault_and_stay_as_they_are(device: Identity, folder: Folder) -> None:
    folder.identity.write_bytes(b"{")
    Path(f"{folder.identity}.bak").write_bytes(b"{")
    with pytest.raises(Fault, match="pair this device again"):
        identity.load(folder.identity)
    assert folder.identity.read_bytes() == b"{"


def test_the_code_itself_is_not_kept(device: Identity, folder: Folder) -> None:
    assert CODE not in folder.identity.read_text()
    assert json.loads(folder.identity.read_text())["claim"] is None


# The state file's two copies


def test_the_newer_of_two_whole_copies_counts__JR_A3(device: Identity, folder: Folder) -> None:
    second = Path(f"{folder.identity}.bak")
    old = second.read_bytes()
    identity.update(folder.identity, State.with_device_id)
    newest = identity.load(folder.identity)
    second.write_bytes(old)
    assert identity.load(folder.identity) == newest
    second.write_bytes(folder.identity.read_bytes())
    folder.identity.write_bytes(old)
    assert identity.load(folder.identity) == newest
    folder.identity.unlink()
    assert identity.load(folder.identity) == newest


def test_one_flipped_letter_in_a_secret_is_noticed__JR_A3(device: Identity, folder: Folder) -> None:
    text = folder.identity.read_text()
    place = text.index(device.api_key)
    folder.identity.write_text(text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :])
    assert identity.load(folder.identity).identity == device


def test_a_file_of_the_first_version_is_still_read(device: Identity, folder: Folder) -> None:
    fields = json.loads(folder.identity.read_text())
    first = {"version": 1, "identity": fields["identity"], "claim": None}
    for copy in (folder.identity, Path(f"{folder.identity}.bak")):
        copy.write_text(json.dumps(first))
    assert identity.load(folder.identity).identity == device
    identity.update(folder.identity, State.with_device_id)
    assert json.loads(folder.identity.read_text())["sequence"] == 1


def test_changes_of_two_programs_at_once_are_both_kept(device: Identity, folder: Folder) -> None:
    def spend(n: int) -> None:
        identity.update(folder.identity, lambda state: replace(state, spent=(*state.spent, str(n))))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(spend, range(20)))
    assert sorted(identity.load(folder.identity).spent, key=int) == [str(n) for n in range(20)]


def test_new_folders_are_made_for_the_owner_only_and_durably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("waystation_agent.folder.sync_folder", synced.append)
    made = Folder(tmp_path / "a" / "b")
    made.make()
    made.make()
    assert synced == [tmp_path, tmp_path / "a"]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
