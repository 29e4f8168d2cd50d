"""Who comes in, is linked or stays out: the rules on both databases, without a provider."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.homes import Role
from waystation.homes.outside import outcome
from waystation.identity import RoleFromOutside
from waystation.identity import store as people
from waystation.identity.oidc import attempts, service, store
from waystation.identity.oidc.model import Attempt, Returned, Rules, Visitor, check_returned, safe_algorithms
from waystation.identity.oidc.service import Visit
from waystation.kernel.audit import Actor
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import Conflict, Refused
from waystation.kernel.secrets import KeyRing

NOW = datetime(2026, 5, 1, tzinfo=UTC)
RULES = Rules("Keycloak", "everybody", links_by_email=False, role="", admin_groups=frozenset())
BOB = Visitor("https://idp.example", "bob-1", "bob@example.org", email_is_verified=True, name="Bob")


def owned(database: Database) -> None:
    with database.write() as tx:
        people.add_person(tx, email="Owner@example.org", name="owner", password_hash="x", now=NOW)


def arrived(tx: Tx, who: Visitor, rules: Rules = RULES, *, invited: bool = False) -> int:
    return service.arrive(tx, Visit(who, rules), NOW, is_invited=lambda _tx, _email, _now: invited)


def test_the_subject_is_the_person_whatever_address_it_has_later(database: Database) -> None:
    owned(database)
    with database.write() as tx:
        first = arrived(tx, BOB)
        assert arrived(tx, replace(BOB, email="robert@example.org", email_is_verified=False)) == first
        assert arrived(tx, replace(BOB, subject="bob-2", email="other@example.org")) != first


def test_the_same_subject_of_another_provider_is_somebody_else(database: Database) -> None:
    owned(database)
    with database.write() as tx:
        arrived(tx, BOB)
        with pytest.raises(Refused, match="not linked"):
            arrived(tx, replace(BOB, issuer="https://other.example"))


@pytest.mark.parametrize(
    ("sign_up", "invited", "comes_in"),
    [
        ("nobody", True, False),
        ("nobody", False, False),
        ("invited", False, False),
        ("invited", True, True),
        ("everybody", False, True),
    ],
)
def test_the_owner_says_who_gets_an_account(database: Database, *, sign_up: str, invited: bool, comes_in: bool) -> None:
    owned(database)
    rules = replace(RULES, sign_up=sign_up)
    with database.write() as tx:
        if comes_in:
            assert arrived(tx, BOB, rules, invited=invited)
        else:
            with pytest.raises(Refused):
                arrived(tx, BOB, rules, invited=invited)


def test_linking_by_address_ignores_its_case_and_takes_no_disabled_account(database: Database) -> None:
    owned(database)
    rules, owner = replace(RULES, links_by_email=True), replace(BOB, email="OWNER@example.org")
    with database.write() as tx:
        person = people.person_by_email(tx, "owner@example.org")
        assert person is not None
        assert arrived(tx, owner, rules) == person.id
    with database.write() as tx:
        tx.execute(people.person.update().values(disabled_at=NOW))
        with pytest.raises(Refused, match="not linked"):
            arrived(tx, replace(owner, subject="another"), rules)


def test_an_identity_is_linked_with_one_person(database: Database) -> None:
    owned(database)
    with database.write() as tx:
        bob = arrived(tx, BOB)
        ann = people.add_person(tx, email="ann@example.org", name="Ann", password_hash="x", now=NOW)
        service.link(tx, Visit(BOB, RULES), NOW, person_id=bob)
        with pytest.raises(Conflict, match="somebody else"):
            service.link(tx, Visit(BOB, RULES), NOW, person_id=ann)


def test_who_has_no_password_is_not_locked_out_by_unlinking(database: Database) -> None:
    owned(database)
    with database.write() as tx:
        bob, by = arrived(tx, BOB), Actor("person:bob@example.org")
        with pytest.raises(Conflict, match="no password"):
            service.unlink(tx, by, NOW, person_id=bob, issuer=BOB.issuer)
        tx.execute(people.person.update().where(people.person.c.id == bob).values(password_hash="x"))
        service.unlink(tx, by, NOW, person_id=bob, issuer=BOB.issuer)
        assert store.known(tx, BOB.issuer, BOB.subject) is None


def test_a_state_is_used_once_and_forgotten_later(database: Database) -> None:
    attempt = Attempt.new("https://hub.example/signin/oidc/callback", "/")
    with database.write() as tx:
        attempts.use_up(tx, attempt, NOW)
        with pytest.raises(Refused, match="used already"):
            attempts.use_up(tx, attempt, NOW)
        assert store.forget_used_states(tx, NOW + timedelta(minutes=19)) == 0
        assert store.forget_used_states(tx, NOW + timedelta(minutes=21)) == 1


def test_an_attempt_is_read_only_with_its_state_its_key_and_in_time(tmp_path: Path) -> None:
    keys, attempt = KeyRing(tmp_path / "keys"), Attempt.new("https://hub.example/back", "/", 7)
    cookie = attempts.seal(attempt, keys, NOW)
    assert attempt.verifier not in cookie
    assert attempts.begun_here(cookie, attempt.state, keys, NOW + timedelta(minutes=9)) == attempt
    for wrong in (
        (cookie, "another state", keys, NOW),
        (cookie, attempt.state, KeyRing(tmp_path / "others"), NOW),
        (cookie, attempt.state, keys, NOW + timedelta(minutes=11)),
        (None, attempt.state, keys, NOW),
        ("ünreadable", attempt.state, keys, NOW),
    ):
        with pytest.raises(Refused, match="not begun in this browser"):
            attempts.begun_here(*wrong)


@given(held=st.sampled_from([None, *Role]), role=st.sampled_from(["", "viewer", "user", "admin"]), lowers=st.booleans())
def test_a_provider_never_changes_an_owner_and_raises_unless_it_lowers(
    *, held: Role | None, role: str, lowers: bool
) -> None:
    after = outcome(held, RoleFromOutside(1, role, lowers=lowers))
    told = Role[role.upper()] if role else None
    if held is Role.OWNER:
        assert after is held
    elif lowers:
        assert after is told
    else:
        assert (after or 0) == max(held or 0, told or 0)


@given(st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.lists(st.text() | st.none())))
def test_claims_of_any_shape_make_a_visitor(claims: dict[str, object]) -> None:
    names = ("given_name", "family_name", "name", "email", "email_verified", "groups", "preferred_username")
    shapes = dict(zip(names, claims.values(), strict=False))
    found = Visitor.of({**shapes, "iss": "https://idp.example", "sub": "1"})
    assert found.email_is_verified == (shapes.get("email_verified") == "true")
    assert found.email.isprintable()


@given(st.text())
def test_an_error_in_the_address_is_never_shown_as_it_came(error: str) -> None:
    with pytest.raises(Refused) as refused:
        check_returned(Returned("state", "", error, ""), "Keycloak")
    assert "<" not in refused.value.sentence


def test_no_shared_secret_and_no_missing_signature_is_safe() -> None:
    assert safe_algorithms(["none", "HS256", "RS256", "ES256"]) == ["RS256", "ES256"]
    assert safe_algorithms(["none", "HS512"]) == []
    assert safe_algorithms(None) == ["RS256"]
