"""Signing in through the front door: password, second step, sessions, and what strangers learn or can spoil."""

import asyncio
from datetime import timedelta

import pytest

from waystation.identity import signin
from waystation.identity.factors import lockout
from waystation.identity.factors.model import Allowance
from waystation.identity.factors.tests.conftest import PASSWORD, Browser, Site
from waystation.identity.model import Person

WRONG = "not this one at all"


def test_a_right_password_opens_a_session_and_a_wrong_one_none(site: Site) -> None:
    browser = site.browser()
    assert browser.sign_in(password=WRONG).status_code == 403
    assert not browser.is_in
    assert browser.sign_in(next="/devices?q=a").headers["location"] == "/devices?q=a"
    assert browser.is_in


def test_every_sign_in_makes_a_new_session_and_ends_the_one_before(site: Site) -> None:
    browser = site.browser()
    browser.sign_in()
    planted = browser.cookie("sessionid")
    browser.sign_in()
    assert browser.cookie("sessionid") != planted
    stale = site.browser()
    stale.plant("sessionid", planted)
    assert not stale.is_in


def test_with_a_second_step_the_password_alone_opens_nothing(site: Site) -> None:
    phone, _ = site.second_step()
    browser = site.browser()
    assert browser.sign_in(next="/devices").headers["location"] == "/signin/second"
    assert not browser.is_in
    assert browser.cookie("sessionid") == ""
    site.clock.turn(30)
    answer = browser.post("/signin/second", "/signin/second", code=site.code(phone))
    assert answer.headers["location"] == "/devices"
    assert browser.is_in


def test_a_code_opens_once_even_within_its_half_minute(site: Site) -> None:
    phone, _ = site.second_step()
    site.clock.turn(30)
    code = site.code(phone)
    first, second = site.browser(), site.browser()
    for browser in (first, second):
        browser.sign_in()
    assert first.post("/signin/second", "/signin/second", code=code).status_code == 303
    assert second.post("/signin/second", "/signin/second", code=code).status_code == 403
    assert not second.is_in


def test_the_code_that_set_the_app_up_signs_nobody_in(site: Site) -> None:
    phone, _ = site.second_step()
    browser = site.browser()
    browser.sign_in()
    assert browser.post("/signin/second", "/signin/second", code=site.code(phone)).status_code == 403


def test_a_recovery_code_signs_in_once_however_it_is_typed(site: Site) -> None:
    _, codes = site.second_step()
    assert len(set(codes)) == 10
    typed = codes[3].upper().replace("-", " ")
    for expected in (303, 403):
        browser = site.browser()
        browser.sign_in()
        assert browser.post("/signin/second", "/signin/second", code=typed).status_code == expected
    assert any("used a recovery code" in note for note in site.notes)


def test_new_recovery_codes_end_the_earlier_ones(site: Site) -> None:
    _, codes = site.second_step()
    assert site.owner.post("/account/security/codes", "/account/security").status_code == 200
    browser = site.browser()
    browser.sign_in()
    assert browser.post("/signin/second", "/signin/second", code=codes[0]).status_code == 403


def test_a_sign_in_waits_five_minutes_for_its_second_step(site: Site) -> None:
    phone, _ = site.second_step()
    browser = site.browser()
    browser.sign_in()
    token = browser.form_of("/signin/second")
    site.clock.turn(301)
    assert browser.get("/signin/second").headers["location"] == "/signin?late=1"
    late = browser.client.post("/signin/second", data={"csrf": token, "code": site.code(phone)})
    assert late.headers["location"] == "/signin?late=1"
    assert not browser.is_in


def test_a_second_step_is_bound_to_its_browser_and_form(site: Site) -> None:
    phone, _ = site.second_step()
    site.clock.turn(30)
    browser, other = site.browser(), site.browser()
    browser.sign_in()
    assert other.get("/signin/second").status_code == 303
    assert browser.post("/signin/second", code=site.code(phone)).status_code == 403
    assert browser.is_in is False


def test_five_wrong_codes_end_the_sign_in(site: Site) -> None:
    phone, _ = site.second_step()
    browser = site.browser()
    browser.sign_in()
    token = browser.form_of("/signin/second")
    for _ in range(5):
        assert browser.client.post("/signin/second", data={"csrf": token, "code": "000000"}).status_code == 403
    site.clock.turn(30)
    over = browser.client.post("/signin/second", data={"csrf": token, "code": site.code(phone)})
    assert "sign in again" in over.text
    assert not browser.is_in


def test_who_knows_the_password_guesses_few_codes_and_does_not_lock_the_owner_out(site: Site) -> None:
    phone, _ = site.second_step()
    stopped = 0
    for number in range(4):
        thief = site.browser(f"203.0.113.{number}")
        thief.sign_in()
        for _ in range(4):
            stopped += thief.post("/signin/second", "/signin/second", code="000000").status_code == 429
    assert stopped == 6
    assert any("typed too many wrong codes" in note for note in site.notes)
    site.clock.turn(30)
    site.owner.sign_in()
    assert site.owner.post("/signin/second", "/signin/second", code=site.code(phone)).status_code == 303


def test_guessing_stops_at_one_address_and_locks_no_other_out(site: Site) -> None:
    thief = site.browser("203.0.113.1")
    answers = [thief.sign_in(password=WRONG).status_code for _ in range(12)]
    assert answers == [403] * 10 + [429] * 2
    assert int(thief.sign_in().headers["retry-after"]) > 60
    assert site.browser("198.51.100.7").sign_in().status_code == 303
    assert sum("was stopped from guessing on" in note for note in site.notes) == 1


def test_a_known_browser_gets_in_while_strangers_from_everywhere_guess(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockout, "ALL_STRANGERS", Allowance(20, timedelta(hours=6)))
    answers = [
        site.browser(f"203.0.113.{place}").sign_in(password=WRONG).status_code for place in range(5) for _ in range(5)
    ]
    assert answers == [403] * 20 + [429] * 5
    assert site.browser("198.51.100.7").sign_in().status_code == 429
    assert site.owner.sign_in().status_code == 303
    site.clock.turn(6 * 3600)
    assert site.browser("198.51.100.7").sign_in().status_code == 303


def test_a_known_browser_may_not_guess_for_ever_either(site: Site) -> None:
    answers = [site.owner.sign_in(password=WRONG).status_code for _ in range(21)]
    assert answers == [403] * 20 + [429]  # ten as a known browser, ten as a stranger at its address


def test_a_browser_is_known_only_to_whom_has_signed_in_with_it(site: Site) -> None:
    stolen = site.browser("203.0.113.1")
    stolen.plant("browser", "A" * 43)
    assert [stolen.sign_in(password=WRONG).status_code for _ in range(11)][-1] == 429


def test_a_planted_browser_cookie_is_worth_nothing_after_the_victim_signs_in(site: Site) -> None:
    thief, victim = site.owner, site.browser("198.51.100.7")
    planted = thief.cookie("browser")
    victim.plant("browser", planted)
    victim.sign_in()
    assert victim.cookie("browser") not in ("", planted)
    assert thief.cookie("browser") == planted
    assert [thief.sign_in(password=WRONG).status_code for _ in range(11)][-1] == 429


def test_unknown_accounts_are_refused_in_the_same_words_and_counted_alike(site: Site) -> None:
    def tried(email: str, address: str) -> list[tuple[int, str]]:
        browser = site.browser(address)
        answers = [browser.sign_in(email, WRONG) for _ in range(11)]
        return [(answer.status_code, answer.text.replace(email, "")) for answer in answers]

    assert tried("ann@example.org", "203.0.113.1") == tried("eve@example.com", "203.0.113.2")


def test_what_was_typed_as_an_address_is_not_kept_unless_it_is_one_of_ours(site: Site) -> None:
    site.browser().sign_in(email="My Secret Passw0rd", password=WRONG)
    site.browser().sign_in(password=WRONG)
    failures = [note for note in site.notes if "failed to sign in" in note]
    assert failures == ["nobody: failed to sign in person:unknown", "nobody: failed to sign in person:ann@example.org"]
    assert not any("Secret" in note or WRONG in note for note in site.notes)


@pytest.mark.parametrize("email", ["", "a\0b", "ann@example.org\0", "x" * 100_000, "%_'\";--", "\ud800@x"])
def test_whatever_is_typed_is_refused_and_never_a_fault(site: Site, email: str) -> None:
    typed = email.encode("utf-8", "surrogatepass")
    answer = site.browser().client.post("/signin", data={"email": typed, "password": b"\0\xff\xed\xa0\x80"})
    assert answer.status_code == 403


def test_a_sign_in_of_another_site_is_refused(site: Site) -> None:
    browser = site.browser()
    for path in ("/signin", "/signin/passkey/begin", "/password-strength"):
        assert browser.client.post(path, headers={"origin": "http://evil.example"}).status_code == 403


def login(site: Site, password: str = PASSWORD, otp: str = "", ip: str = "198.51.100.9") -> Person:
    attempt = signin.Attempt("ann@example.org", password, signin.Came(ip))
    return asyncio.run(signin.check_login(site.app.state.parts, attempt, otp=otp))


def test_an_app_is_told_to_ask_for_the_code(site: Site) -> None:
    assert login(site).email == "ann@example.org"
    phone, _ = site.second_step()
    site.clock.turn(30)
    with pytest.raises(signin.CodeNeeded):
        login(site)
    with pytest.raises(signin.WrongCode):
        login(site, otp="000000")
    with pytest.raises(signin.WrongPassword):
        login(site, WRONG, site.code(phone))
    assert login(site, otp=site.code(phone)).email == "ann@example.org"
    with pytest.raises(signin.WrongCode):
        login(site, otp=site.code(phone))


def test_an_app_that_guesses_is_stopped(site: Site) -> None:
    faults = []
    for _ in range(12):
        with pytest.raises((signin.WrongPassword, signin.TooMany)) as refused:
            login(site, WRONG)
        faults.append(refused.value.status)
    assert faults == [403] * 10 + [429] * 2


def test_who_signs_out_stays_a_known_browser(site: Site) -> None:
    browser: Browser = site.owner
    browser.post("/signout", "/account/security")
    assert not browser.is_in
    assert browser.cookie("browser")
