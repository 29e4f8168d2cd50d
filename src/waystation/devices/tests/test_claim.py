import threading

import pytest

from waystation import devices
from waystation.devices import model, service, store
from waystation.devices.tests.registry import OTHER_KEY, OWN_KEY, Registry, proof
from waystation.kernel.errors import Conflict, DomainError, Invalid, NotFound
from waystation.kernel.secrets import digest

DAY = 86_400


def is_claimed(site: Registry, code: str, api_key: str = "") -> bool:
    try:
        site.claim(code, api_key)
    except NotFound:
        return False
    return True


def count(site: Registry) -> int:
    with site.database.read() as tx:
        return devices.count(tx, site.home_id)


def test_a_code_makes_one_device_with_a_key_that_works(site: Registry) -> None:
    made = site.claim(site.offer("Kitchen").code)
    assert made.name == "Kitchen"
    assert site.admit(proof(made)).key == made.key
    assert count(site) == 1


@pytest.mark.parametrize("typed", [str.lower, lambda code: code.replace("-", " "), lambda code: f" {code}\n"])
def test_a_code_may_be_typed_as_people_type(site: Registry, typed) -> None:  # noqa: ANN001
    assert is_claimed(site, typed(site.offer().code))


def test_a_code_works_once_unless_its_own_device_asks_again(site: Registry) -> None:
    code = site.offer().code
    first = site.claim(code, OWN_KEY)
    assert site.claim(code, OWN_KEY) == first  # the answer was lost on the way
    assert not is_claimed(site, code, OTHER_KEY)
    assert not is_claimed(site, code)
    assert count(site) == 1


def test_a_lost_answer_can_be_had_again_for_a_day(site: Registry) -> None:
    code = site.offer(hours=1).code
    site.claim(code, OWN_KEY)
    site.clock.turn(DAY - 1)
    assert is_claimed(site, code, OWN_KEY)  # though the code itself is long expired
    site.clock.turn(1)
    assert not is_claimed(site, code, OWN_KEY)


def test_a_code_expires(site: Registry) -> None:
    code = site.offer(hours=1).code
    site.clock.turn(3600)
    assert not is_claimed(site, code)
    assert count(site) == 0


def test_an_unknown_code_reads_as_a_used_or_expired_one_does(site: Registry) -> None:
    used, expired = site.offer(), site.offer(hours=1)
    site.claim(used.code)
    site.clock.turn(3601)
    said = set()
    for code in (used.code, expired.code, model.new_code(), ""):
        with pytest.raises(NotFound) as refused:
            site.claim(code)
        said.add(refused.value.sentence)
    assert len(said) == 1


def test_of_several_that_claim_at_once_one_gets_the_code(site: Registry) -> None:
    code, together, outcomes = site.offer().code, threading.Barrier(4), []

    def come(number: int) -> None:
        together.wait(20)
        try:
            site.claim(code, f"{number}" * 43)
            outcomes.append("claimed")
        except DomainError as refused:
            outcomes.append(refused.word)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["claimed", "not_found", "not_found", "not_found"]
    assert count(site) == 1


def test_a_key_that_is_in_use_is_refused_and_the_code_stays_open(site: Registry) -> None:
    site.claim(site.offer().code, OWN_KEY)
    code = site.offer().code
    with pytest.raises(Conflict):
        site.claim(code, OWN_KEY)
    assert is_claimed(site, code, OTHER_KEY)


@pytest.mark.parametrize("api_key", ["short", "x" * 42, "x" * 129, "x" * 42 + " ", "x" * 42 + "ü"])
def test_a_devices_own_key_must_be_long_and_plain(site: Registry, api_key: str) -> None:
    with pytest.raises(Invalid):
        site.claim(site.offer().code, api_key)


def test_a_code_for_a_device_pairs_that_one_anew_and_keeps_its_older_keys(site: Registry) -> None:
    made = site.register("Kitchen")
    again = site.claim(site.offer(device=site.device(made)).code)
    assert (again.key, again.name) == (made.key, "Kitchen")
    assert again.api_key != made.api_key
    assert (site.answer(proof(made)), site.answer(proof(again))) == (200, 200)


def test_a_serial_of_its_own_is_taken_when_it_is_free_and_can_be_one(site: Registry) -> None:
    assert site.claim(site.offer().code, serial="SN-7").serial == "SN-7"
    second = site.claim(site.offer().code, serial="SN-7")
    assert second.serial == second.key
    third = site.claim(site.offer().code, serial="with:colon")
    assert third.serial == third.key


@pytest.mark.parametrize("value", ["00:11:22:33:44:55", "x" * 500, "\x00", "ü\ud7ff"])
def test_whatever_a_device_says_of_itself_it_is_claimed_or_told_why__G_10(site: Registry, value: str) -> None:
    try:
        made = site.claim(site.offer().code, mac=value)
    except Invalid:
        assert count(site) == 0
        return
    with site.database.read() as tx:
        assert devices.external_ids(tx, site.device(made).id) == {"mac": value[:128]}


@pytest.mark.parametrize("hours", [0, -1, 24 * 30 + 1, float("nan")])
def test_a_code_cannot_be_good_for_ever_or_never(site: Registry, hours: float) -> None:
    with pytest.raises(Invalid):
        site.offer(hours=hours)


def test_neither_code_nor_key_is_stored__G_9(site: Registry) -> None:
    code = site.offer().code
    made = site.claim(code)
    with site.database.read() as tx:
        stored = repr(
            [*tx.all(store.claim.select()), *tx.all(store.credential.select()), *tx.all(store.device.select())]
        )
        assert store.digest_is_known(tx, digest(made.api_key))
    assert model.plain_code(code) not in stored
    assert code not in stored
    assert made.api_key not in stored


def test_old_codes_are_forgotten_and_younger_ones_are_not(site: Registry) -> None:
    site.offer(hours=1)
    site.clock.turn(3600 + 30 * DAY + 1)
    young = site.offer()
    with site.database.write() as tx:
        assert devices.feature.jobs[0].sweep(tx, site.clock.now()) == 1
    assert is_claimed(site, young.code)


def test_a_code_has_no_letters_that_look_alike() -> None:
    letters = set("".join(model.new_code() for _ in range(200))) - {"-"}
    assert letters.isdisjoint("01IO")
    assert service.model.plain_code("abcd-EFGH 2345") == "ABCDEFGH2345"
