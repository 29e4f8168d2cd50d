"""The pure words: forms as the sketch sends them, what fits on an ESP8266, names that are no paths."""

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.site import NOON

from waystation.dialects.dropsync import model, wire
from waystation.dialects.dropsync.model import Said, next_said
from waystation.kernel.errors import Invalid

PLAIN = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=40)


@given(st.dictionaries(st.text("abc_", min_size=1, max_size=8), PLAIN, max_size=8))
def test_a_form_that_was_escaped_is_read_as_it_was_meant__DS_7(fields: dict[str, str]) -> None:
    for escape in (quote, quote_plus):
        body = "&".join(f"{name}={escape(value)}" for name, value in fields.items()).encode()
        assert wire.parse_form(body) == fields


@given(st.binary(max_size=300))
def test_no_bytes_are_refused_as_a_form_and_no_text_has_a_nul__DS_7(body: bytes) -> None:
    found = wire.parse_form(body)
    assert all("\0" not in text for text in (*found, *found.values()))


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b"content=Pong from esp001&token=T", "Pong from esp001"),
        (b"content=100% + a&b=c \xff \xc3\xa9&token=T", "100%   a"),
        (b"content=a\tb: [1, 2]&token=T\r\n", "a\tb: [1, 2]"),
        (b"content=50%&token=T", "50%"),
        (b"content=%zz%41&token=T", "%zzA"),
        (b"content=a=b&token=T", "a=b"),
        ("content=größer&token=T".encode(), "größer"),
        (b"content=\xff\xfe&token=T", "\ufffd\ufffd"),
    ],
)
def test_raw_bodies_are_read_and_the_token_survives__DS_7(body: bytes, content: str) -> None:
    found = wire.parse_form(body)
    assert (found["content"], found["token"]) == (content, "T")


@given(st.recursive(st.none() | st.integers() | PLAIN, lambda inner: st.lists(inner) | st.dictionaries(PLAIN, inner)))
def test_an_answer_costs_the_device_no_less_than_it_is_long__DS_8(value: object) -> None:
    assert model.device_cost(value) >= len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


@given(st.lists(st.dictionaries(st.sampled_from(["filename", "path"]), PLAIN), max_size=60))
def test_what_is_fitted_fits_and_keeps_the_first_entries__DS_8(entries: list[dict[str, str]]) -> None:
    answer = model.fitted({"file_count": len(entries), "files": entries}, "files")
    assert model.device_cost(answer) <= model.DEVICE_BYTES
    assert answer["files"] == entries[: len(answer["files"])]


def test_parameters_of_about_850_characters_are_the_most__DS_9() -> None:
    model.check_command("status", {"a": "x" * 780}, is_small=True)
    with pytest.raises(Invalid):
        model.check_command("status", {"a": "x" * 900}, is_small=True)
    model.check_command("status", {"a": "x" * 900}, is_small=False)


@pytest.mark.parametrize("name", ["esp001", "AA:BB:CC:DD:EE:FF", "a", "x" * 64, "a.b-c_d"])
def test_device_ids__DS_14(name: str) -> None:
    assert model.is_device_id(name)


@pytest.mark.parametrize("name", ["", "../../evil", "a..b", "x" * 65, "a/b", "a b", "é", "a\n", "a\0"])
def test_what_is_no_device_id__DS_14(name: str) -> None:
    assert not model.is_device_id(name)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a.txt", "a.txt"),
        ("../../../x.csv", "x.csv"),
        ("C:\\x.csv", "x.csv"),
        ("dir/b.JSON", "b.JSON"),
        ("%2e%2e/x.csv", "x.csv"),
    ],
)
def test_a_file_is_called_as_the_last_step_of_its_path__DS_15(given: str, name: str) -> None:
    assert model.file_name(given) == name


@pytest.mark.parametrize(
    "given", ["", ".", "..", "a", "x.exe", "x.txt.exe", "a\0b.txt", "a\nb.txt", "x" * 300 + ".txt", "a..txt", "/"]
)
def test_what_no_file_is_called__DS_15(given: str) -> None:
    with pytest.raises(Invalid):
        model.file_name(given)


@pytest.mark.parametrize(("given", "stored"), [(-5, 1), (0, 1), (1, 1), (2, 2), (3, 3), (999, 3)])
def test_priorities_are_clamped_and_come_back__DS_23(given: int, stored: int) -> None:
    assert model.priority_out(model.priority_in(given)) == stored


@given(st.lists(st.sampled_from(["online", "comm_error", "auth_error", "poll"]), max_size=12))
def test_a_trouble_is_over_once_the_device_has_polled_since_it_began__DS_13(told: list[str]) -> None:
    said, troubled = Said(), ""
    for number, word in enumerate(told):
        at = NOON.replace(microsecond=number)
        if word == "poll":
            said, troubled = Said(said.status, said.at, said.trouble_since, at), ""
            continue
        if word != said.status:
            troubled = "" if word == "online" else word
        said = Said(word, at, next_said(said, word, at), said.polled_at)
        assert said.shown == (troubled or "online")
