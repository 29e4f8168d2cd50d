"""Whatever comes instead of a passkey is refused with a sentence, and uses its challenge up."""

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waystation.identity import store as people_store
from waystation.identity.factors import jobs, passkeys, store
from waystation.identity.factors.passkeys import Answer, Asked, Purpose, Site
from waystation.identity.factors.tests.conftest import People
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.errors import DomainError, Invalid, Refused

HERE = Site("localhost", ("http://localhost",))
ASKED = Asked(HERE, Purpose.SIGN_IN, "browser 1")
SHAPES = ("public-key", "x", None, 1)


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def credential(challenge: str, *, id_: bytes = b"1", kind: str = "webauthn.get", **response: Any) -> dict[str, Any]:
    said = json.dumps({"type": kind, "challenge": challenge, "origin": "http://localhost"}).encode()
    return {
        "id": text(id_),
        "rawId": text(id_),
        "type": "public-key",
        "response": {"clientDataJSON": text(said), **response},
    }


def question(database: Database, clock: ManualClock, asked: Asked = ASKED) -> str:
    with database.write() as tx:
        return passkeys.question(tx, asked, clock.now())["challenge"]


def answered(database: Database, clock: ManualClock, challenge: str, asked: Asked = ASKED) -> Answer:
    with database.write() as tx:
        return passkeys.answered(tx, asked, clock.now(), credential=credential(challenge))


def test_a_challenge_is_answered_once(database: Database, clock: ManualClock) -> None:
    challenge = question(database, clock)
    answered(database, clock, challenge)
    with pytest.raises(Refused, match="answered before"):
        answered(database, clock, challenge)


def test_a_challenge_is_for_its_browser_and_purpose_and_for_five_minutes(
    database: Database, clock: ManualClock
) -> None:
    challenge = question(database, clock)
    for other in (Asked(HERE, Purpose.SIGN_IN, "browser 2"), Asked(HERE, Purpose.CONFIRM, "browser 1")):
        with pytest.raises(Refused):
            answered(database, clock, challenge, other)
    clock.turn(301)
    with pytest.raises(Refused):
        answered(database, clock, challenge)
    with database.write() as tx:
        assert jobs.forget_sign_ins_under_way(tx, clock.now()) == 1


def test_a_challenge_that_nobody_made_is_refused(database: Database, clock: ManualClock) -> None:
    with pytest.raises(Refused):
        answered(database, clock, text(b"x" * 43))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=60).map(text),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.fixed_dictionaries({}, optional={"id": JUNK, "rawId": JUNK, "type": JUNK, "response": JUNK}))
def test_junk_in_place_of_a_credential_is_no_fault(
    database: Database, clock: ManualClock, parts: dict[str, Any]
) -> None:
    with database.write() as tx, pytest.raises(DomainError):
        passkeys.answered(tx, ASKED, clock.now(), credential=parts)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    response=st.dictionaries(
        st.sampled_from(["attestationObject", "authenticatorData", "signature", "userHandle", "transports"]),
        JUNK | st.binary(max_size=200).map(text),
    ),
    type_=st.sampled_from(SHAPES),
    kind=st.sampled_from(["webauthn.get", "webauthn.create"]),
)
def test_junk_in_an_answer_is_no_fault(
    database: Database, people: People, clock: ManualClock, response: dict[str, Any], type_: Any, kind: str
) -> None:
    with database.write() as tx:
        facts = {"site": "localhost", "public_key": b"\xa5\x01\x02", "uses": 0, "is_synced": False}
        store.add_passkey(tx, people.ann.person_id, "phone", clock.now(), credential_id=b"1", **facts)
    given_ = {**credential(text(b"c"), kind=kind, **response), "type": type_}
    answer = Answer(HERE, b"c", given_)
    with database.write() as tx, pytest.raises(DomainError):
        passkeys.check(tx, answer, clock.now())
    with database.write() as tx, pytest.raises(DomainError):
        passkeys.register(tx, answer, clock.now(), person_id=people.ann.person_id, name="x")


@pytest.mark.parametrize("name", ["", " \n", "x" * 61, "a\0b", "bell\a"])
def test_a_passkey_has_a_name_that_can_be_read(name: str) -> None:
    with pytest.raises(Invalid):
        passkeys.check_name(name)


def test_a_person_has_twenty_passkeys_at_most(database: Database, people: People, clock: ManualClock) -> None:
    facts = {"site": "localhost", "public_key": b"", "uses": 0, "is_synced": False}
    with database.write() as tx:
        for number in range(20):
            key = str(number).encode()
            store.add_passkey(tx, people.ann.person_id, "phone", clock.now(), credential_id=key, **facts)
        person = people_store.person_by_id(tx, people.ann.person_id)
        with pytest.raises(DomainError, match="which is the most"):
            passkeys.registration(tx, Asked(HERE, Purpose.REGISTER, "s"), clock.now(), person=person)
