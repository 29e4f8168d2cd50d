"""An invitation makes one person a member, once, for a while, and only if nobody took it back."""

import contextlib
import threading
from itertools import product

import pytest

from waystation import homes
from waystation.homes import Role, invitations
from waystation.homes import store as home_rows
from waystation.homes.model import Joined, NewInvitation
from waystation.homes.tests.house import PEOPLE, House, new_person
from waystation.kernel import mail
from waystation.kernel.audit import Actor, audit
from waystation.kernel.errors import Conflict, DomainError, Invalid, NotFound, Refused

SOMEBODY = Actor("person:stranger@example.org")


def invited(
    house: House, who: str = "admin", role: Role = Role.USER, email: str = "", days: float = 7
) -> NewInvitation:
    with house.database.write() as tx:
        return invitations.invite(tx, house.as_(tx, who), house.clock.now(), role=role, email=email, days=days)


def accept(house: House, made: NewInvitation, who: str = "stranger") -> Joined:
    with house.database.write() as tx:
        return invitations.accept(tx, made.secret, house.ids[who], house.clock.now(), by=SOMEBODY)


def test_who_manages_invites_and_only_owners_invite_owners__SH_4(house: House) -> None:
    for who, role in product(PEOPLE, Role):
        at = house.fresh()
        if PEOPLE[who] is Role.OWNER or (PEOPLE[who] is Role.ADMIN and role is not Role.OWNER):
            assert accept(at, invited(at, who, role)).role is role
            assert at.role("stranger") is role
        else:
            with pytest.raises(Refused):
                invited(at, who, role)


def test_it_works_once(house: House) -> None:
    made = invited(house)
    assert accept(house, made).is_new
    with house.database.write() as tx:
        other = new_person(tx, "other", house.clock)
    with house.database.write() as tx, pytest.raises(NotFound):
        invitations.accept(tx, made.secret, other, house.clock.now(), by=SOMEBODY)


def test_accepting_it_twice_is_harmless(house: House) -> None:
    made = invited(house)
    accept(house, made)
    again = accept(house, made)
    assert not again.is_new
    assert again.role is Role.USER


def test_who_is_a_member_already_keeps_the_role_and_the_invitation_stays_open(house: House) -> None:
    made = invited(house, "owner", Role.OWNER)
    told = accept(house, made, "viewer")
    assert (told.is_new, told.role) == (False, Role.VIEWER)
    assert house.role("viewer") is Role.VIEWER
    assert accept(house, made).is_new


def test_two_who_open_the_same_link_at_once_do_not_both_join(house: House) -> None:
    made = invited(house)
    with house.database.write() as tx:
        house.ids["other"] = new_person(tx, "other", house.clock)
    begun, joined = threading.Barrier(2), []

    def open_it(who: str) -> None:
        begun.wait()
        with contextlib.suppress(DomainError):
            joined.append(accept(house, made, who))

    threads = [threading.Thread(target=open_it, args=(who,)) for who in ("stranger", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(joined) == 1


def test_it_ends_when_its_time_is_over(house: House) -> None:
    made = invited(house, days=7)
    house.clock.turn(7 * 86400)
    with pytest.raises(NotFound):
        accept(house, made)
    with house.database.read() as tx:
        assert invitations.invitations(tx, house.home.id, house.clock.now()) == []


def test_it_can_be_taken_back(house: House) -> None:
    made = invited(house)
    with house.database.write() as tx:
        invitations.revoke(tx, house.as_(tx, "admin"), made.id, now=house.clock.now())
    with pytest.raises(NotFound):
        accept(house, made)
    with house.database.write() as tx, pytest.raises(NotFound):
        invitations.revoke(tx, house.as_(tx, "admin"), made.id, now=house.clock.now())


def test_an_admin_does_not_take_an_owners_invitation_back(house: House) -> None:
    made = invited(house, "owner", Role.OWNER)
    with pytest.raises(Refused), house.database.write() as tx:
        invitations.revoke(tx, house.as_(tx, "admin"), made.id, now=house.clock.now())
    assert accept(house, made).role is Role.OWNER


def test_another_homes_invitation_cannot_be_taken_back_or_seen(house: House) -> None:
    made = invited(house)
    with house.database.write() as tx:
        other = home_rows.add_home(tx, "Elsewhere", house.clock.now())
        by = house.as_(tx, "owner")
        foreign = type(by)(other.id, other.name, Role.OWNER, by.caller)
        with pytest.raises(NotFound):
            invitations.revoke(tx, foreign, made.id, now=house.clock.now())
        assert invitations.invitations(tx, other.id, house.clock.now()) == []


@pytest.mark.parametrize("ending", ["removed", "demoted"])
def test_invitations_end_with_the_right_of_who_made_them(house: House, ending: str) -> None:
    made = invited(house, "admin")
    with house.database.write() as tx:
        by = house.as_(tx, "owner")
        if ending == "removed":
            homes.remove(tx, by, house.ids["admin"], now=house.clock.now())
        else:
            homes.change_role(tx, by, house.ids["admin"], Role.USER, now=house.clock.now())
    with pytest.raises(NotFound):
        accept(house, made)


def test_a_new_one_for_the_same_address_ends_the_one_before(house: House) -> None:
    first, second = invited(house, email="Bob@example.org"), invited(house, email="bob@example.org")
    with pytest.raises(NotFound):
        accept(house, first)
    assert accept(house, second).is_new


def test_a_member_is_not_invited_again(house: House) -> None:
    with pytest.raises(Conflict):
        invited(house, email="VIEWER@example.org")


@pytest.mark.parametrize("email", ["nobody", "a@b\r\nBcc: c@d.example", "a b@c.example"])
def test_what_is_no_address_is_not_invited(house: House, email: str) -> None:
    with pytest.raises(Invalid):
        invited(house, email=email)


@pytest.mark.parametrize("days", [0, -1, 31, float("nan")])
def test_it_is_good_for_a_month_at_most(house: House, days: float) -> None:
    with pytest.raises(Invalid):
        invited(house, days=days)


def test_open_invitations_are_bounded(house: House) -> None:
    for number in range(invitations.MOST_OPEN):
        invited(house, email=f"p{number}@example.org")
    with pytest.raises(Conflict):
        invited(house)
    invited(house, email="p1@example.org")  # takes the place of the one before


def test_its_secret_is_kept_as_a_digest_and_never_noted(house: House) -> None:
    made = invited(house, email="bob@example.org")
    with house.database.read() as tx:
        noted = str(tx.all(audit.select()))
        stored = str(tx.all(home_rows.invitation.select()))
    assert made.secret not in noted + stored
    assert "invited somebody" in noted


def test_the_mail_names_who_invites_and_leads_to_the_link(house: House) -> None:
    made = invited(house, email="bob@example.org")
    with house.database.write() as tx:
        invitations.post(tx, made, house.clock.now(), f"https://h.example/invitations/{made.secret}", inviter="Ann <b>")
    with house.database.read() as tx:
        [waiting] = mail.waiting(tx)
    letter = waiting.letter
    assert letter.to == "bob@example.org"
    assert letter.subject == "Ann <b> invites you to Lake house"
    assert made.secret in letter.text
    assert letter.html is not None
    assert "<b>" not in letter.html


def test_an_open_invitation_counts_as_being_invited(house: House) -> None:
    assert not is_invited(house)
    made = invited(house, email="stranger@example.org")
    assert is_invited(house)
    accept(house, made)
    assert not is_invited(house)


def is_invited(house: House) -> bool:
    with house.database.read() as tx:
        return homes.is_invited(tx, "Stranger@example.org", house.clock.now())


def test_old_ones_are_forgotten(house: House) -> None:
    invited(house)
    house.clock.turn(40 * 86400)
    with house.database.write() as tx:
        assert invitations.forget(tx, house.clock.now()) == 1
