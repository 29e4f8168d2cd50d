from contextlib import suppress

import msgspec
import pytest

from waystation import devices
from waystation.devices.tests.registry import OTHER_KEY, OWN_KEY, Registry, proof
from waystation.kernel import audit, outbox
from waystation.kernel.errors import Conflict, DomainError, Invalid, NotFound


def notices(site: Registry, subject: str) -> list[dict]:
    with site.database.read() as tx:
        rows = tx.all(outbox.outbox.select().where(outbox.outbox.c.subject == subject))
    return [msgspec.json.decode(row.body) for row in rows]


def test_what_is_revoked_opens_nothing_from_then_on__G_14(site: Registry) -> None:
    made = site.register()
    site.admit(proof(made))
    assert site.revoke(made) == 1
    assert site.gate.known(proof(made)) is None
    assert site.answer(proof(made)) == 403


def test_other_processes_are_told_to_forget_and_to_disconnect__G_14(site: Registry) -> None:
    made = site.register()
    site.revoke(made)
    assert notices(site, f"access.{made.key}") == [{"device_id": site.device(made).id, "kick": True}]


def test_one_credential_can_be_revoked_and_the_others_stay(site: Registry) -> None:
    made = site.register()
    again = site.claim(site.offer(device=site.device(made)).code, OWN_KEY)
    newer, older = site.credential_ids(made)
    assert site.revoke(made, older) == 1
    assert (site.answer(proof(made)), site.answer(proof(again))) == (403, 200)
    assert site.revoke(made, newer) == 1
    assert site.answer(proof(again)) == 403


def test_revoking_twice_or_anothers_credential_changes_nothing__G_13(site: Registry) -> None:
    made, other = site.register(), site.register("Cellar")
    site.revoke(made)
    for credential_id in (None, site.credential_ids(other)[0], 10**9):
        with pytest.raises(NotFound):
            site.revoke(made, credential_id)
    assert site.answer(proof(other)) == 200


def test_a_revoked_device_is_paired_again_by_a_code_and_its_old_key_stays_dead__G_14(site: Registry) -> None:
    made = site.register()
    site.revoke(made)
    again = site.claim(site.offer(device=site.device(made)).code, OTHER_KEY)
    assert (site.answer(proof(made)), site.answer(proof(again))) == (403, 200)


def test_asking_for_a_lost_answer_does_not_undo_a_revocation__G_14(site: Registry) -> None:
    code = site.offer().code
    made = site.claim(code, OWN_KEY)
    site.revoke(made)
    with suppress(DomainError):
        site.claim(code, OWN_KEY)
    assert site.answer(proof(made)) == 403


def test_a_disabled_device_is_refused_until_it_is_enabled(site: Registry) -> None:
    made = site.register()
    site.admit(proof(made))
    site.change(made, devices.disable)
    assert site.gate.known(proof(made)) is None
    assert site.answer(proof(made)) == 403
    with pytest.raises(Conflict):
        site.change(made, devices.disable)
    site.change(made, devices.enable)
    assert site.answer(proof(made)) == 200
    with pytest.raises(Conflict):
        site.change(made, devices.enable)


def test_a_renamed_device_is_known_by_its_new_name_and_stays_connected(site: Registry) -> None:
    made = site.register()
    site.admit(proof(made))
    site.change(made, devices.rename, name="Cellar", model_text="")
    assert site.admit(proof(made)).name == "Cellar"
    assert [told["kick"] for told in notices(site, f"access.{made.key}")] == [False]


def test_a_device_is_deleted_by_who_types_its_name(site: Registry) -> None:
    made = site.register("Kitchen")
    site.admit(proof(made))
    with pytest.raises(Invalid):
        site.change(made, devices.delete, typed_name="kitchen")
    assert site.answer(proof(made)) == 200
    site.change(made, devices.delete, typed_name=" Kitchen ")
    assert site.answer(proof(made)) == 403
    with pytest.raises(NotFound):
        site.device(made)


def test_each_deed_is_in_the_audit_without_the_key__G_6(site: Registry) -> None:
    made = site.register()
    site.revoke(made)
    with site.database.read() as tx:
        rows = tx.all(audit.audit.select().order_by(audit.audit.c.id))
    assert [(row.who, row.did) for row in rows] == [
        ("person:owner@example.org", "registered a device"),
        ("person:owner@example.org", "revoked a credential"),
    ]
    assert made.api_key not in repr(rows)
