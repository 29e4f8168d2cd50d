"""The pages of storage and plans by their forms, the API, and the command line."""

import html
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.site import Site, Somebody, Thing, standing_site
from typer.testing import CliRunner

from waystation import telemetry
from waystation.cli import gather
from waystation.homes import Home, Role
from waystation.kernel import audit, mail
from waystation.telemetry import Ingest, warnings
from waystation.telemetry.keeping import service, store
from waystation.telemetry.keeping.model import Plan
from waystation.telemetry.keeping.sweeps import counting, deletion

MINUTE = timedelta(minutes=1)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standing_site(tmp_path) as standing:
        yield standing


@pytest.fixture
def home(site: Site) -> Home:
    return site.home()


def form(site: Site, who: Somebody, path: str, **fields: str) -> Any:
    body = "&".join(f"{name}={value.replace(' ', '+').replace(':', '%3A')}" for name, value in fields.items())
    return site.ask("POST", path, body=(body or "x=").encode(), **who.browser)


def page(site: Site, who: Somebody, path: str = "/data") -> str:
    answer = site.ask("GET", path, **who.browser)
    assert answer.status == 200, answer.body
    return html.unescape(answer.body.decode())


def send(site: Site, device: Thing, count: int = 10) -> int:
    at = site.clock.now()
    body = [{"at": (at - n * MINUTE).isoformat(), "values": {"n": n}} for n in range(count)]
    return site.ask("POST", "/api/readings", device.authorization, body).status


def post(site: Site, device: Thing, body: bytes = b'{"mode":"AUTO","temp_inside_c":21.5,"setpoint_c":22.00}') -> Any:
    return site.ask("POST", "/api/telemetry/ingest/", device.authorization, body)


def limit(site: Site, owner: Somebody, size: int) -> None:
    with site.database.write() as tx:
        store.save_plan(tx, Plan("tiny", size))
        store.give_plan(tx, owner.id, "tiny", site.clock.now())
    site.parts.get(Ingest).quota.refresh()


def sweep(site: Site) -> None:
    """What the hub does in its own time."""
    while deletion.delete(site.database, site.clock.now()):
        pass
    site.clock.turn(3601)
    while counting.count(site.database, site.clock.now()):
        pass
    with site.database.write() as tx:
        warnings.warn(tx, site.clock.now())
    site.parts.get(Ingest).quota.refresh()


def test_the_page_shows_what_devices_have_stored(site: Site, home: Home) -> None:
    owner, device = site.somebody(home), site.device(home)
    assert "Nothing is stored yet" in page(site, owner)
    assert send(site, device) == 200
    sweep(site)
    shown = page(site, owner)
    assert "Porch" in shown
    assert "of 2 GiB" not in shown, "a hub has no limit"


@pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
def test_only_those_who_manage_the_home_see_it(site: Site, home: Home, role: Role) -> None:
    who = site.somebody(home, role)
    assert site.ask("GET", "/data", **who.browser).status == 403
    assert site.ask("GET", "/api/storage", who.authorization).status == 403


def test_a_full_plan_refuses_before_the_body_is_read__TH_6(site: Site, home: Home) -> None:
    owner, device = site.somebody(home), site.device(home)
    limit(site, owner, 2000)
    body = b'{"mode":"AUTO","temp_inside_c":21.5,"setpoint_c":22.00}'
    assert len(body) == 55
    for _ in range(5):
        assert post(site, device, body).status == 200
    assert post(site, device, body).status == 200, "1,775 of 2,000 bytes"
    for broken in (body, b"{nan"):
        refused = post(site, device, broken)
        assert refused.status == 507
        assert refused.json == {
            "status": "error",
            "code": "STORAGE_LIMIT_EXCEEDED",
            "message": "Storage limit reached (1.95 KB). Please delete old telemetry data or upgrade your plan.",
        }
    native = site.ask("POST", "/api/readings", device.authorization, b"{broken")
    assert (native.status, native.json["code"]) == (507, "quota_reached")
    assert native.headers["content-type"] == "application/problem+json"
    site.parts.get(Ingest).quota.refresh()
    assert "3 calls were refused" in page(site, owner)

    form(site, owner, "/data/delete", form="device", device=device.key, typed="Porch")
    sweep(site)
    assert post(site, device, body).status == 200
    assert post(site, device, b"{nan").status == 400


def test_the_size_of_the_plan_is_told_as_the_contract_does__TH_6() -> None:
    for size, text in ((2 << 30, "2 GB"), (10 << 30, "10 GB"), (1 << 40, "1 TB")):
        assert f"({text})" in telemetry.QuotaReached(size).sentence


def test_homes_of_one_owner_count_together(site: Site, home: Home) -> None:
    owner = site.somebody(home)
    second = site.home("Boat")
    with site.database.write() as tx:
        from waystation.homes import store as members  # noqa: PLC0415

        members.add_member(tx, second.id, owner.id, site.clock.now(), role=Role.OWNER)
    limit(site, owner, 1024)
    first_device, second_device = site.device(home), site.device(second, "Cabin")
    for _ in range(3):
        assert post(site, first_device).status == 200
    assert post(site, second_device).status == 507
    assert post(site, site.device(site.home("Elsewhere"), "Other")).status == 200


def test_owners_are_warned_once_at_80_and_once_at_95__TH_6(site: Site, home: Home) -> None:
    owner, device = site.somebody(home), site.device(home)
    limit(site, owner, 3550)
    told: list[str] = []
    for _ in range(10):
        post(site, device)
        site.parts.get(Ingest).quota.refresh()
        sweep(site)
        with site.database.read() as tx:
            told = [one.letter.subject for one in mail.waiting(tx)]
    assert sorted(told) == ["80 % of your storage is used", "95 % of your storage is used"]
    assert post(site, device).status == 507


def test_retention_is_set_by_form_api_and_command_line(site: Site, home: Home, tmp_path: Path) -> None:
    owner, device = site.somebody(home), site.device(home)
    form(site, owner, "/data/retention", raw_days="30", rollup_days="400")
    shorter = {"device": device.key, "metric": "n", "raw_days": 7}
    assert site.ask("POST", "/api/storage/retention", owner.authorization, shorter).status == 200
    out = CliRunner().invoke(
        gather(), ["data", "retention", "--data", str(tmp_path), "--home", home.uid, "--raw-days", "90", "--json"]
    )
    assert out.exit_code == 0, out.output
    rules = site.ask("GET", "/api/storage/retention", owner.authorization).json["rules"]
    assert json.loads(out.stdout) == rules
    assert [(one["device"], one["metric"], one["raw_days"], one["rollup_days"]) for one in rules] == [
        (None, None, 90, None),
        (device.key, "n", 7, None),
    ]
    assert "90 days" in page(site, owner)
    assert site.ask("DELETE", f"/api/storage/retention/{rules[1]['id']}", owner.authorization).status == 200
    assert form(site, owner, f"/data/retention/{rules[0]['id']}/delete").status == 303
    assert "Everything is kept for ever" in page(site, owner)


WRONG: tuple[Any, ...] = (
    {"raw_days": 0},
    {"raw_days": -5},
    {"raw_days": 10**12},
    {"raw_days": "30"},
    {"raw_days": 1.5},
    {"raw_days": True},
    {"raw_days": 30, "rollup_days": 7},
    {"rollup_days": 30},
    {"raw_days": 3, "metric": "m" * 100_000},
    {"raw_days": 3, "metric": ["m"]},
    {"raw_days": 3, "device": "unknown9"},
    {"raw_days": 3, "device": "unknown9", "model": "x"},
    {"raw_days": 3, "metric": "a\x00b"},
    [],
)


def test_a_wrong_rule_is_refused_and_changes_nothing(site: Site, home: Home) -> None:
    owner = site.somebody(home)
    for wrong in (*(json.dumps(one).encode() for one in WRONG), b"{"):
        answer = site.ask("POST", "/api/storage/retention", owner.authorization, wrong)
        assert 400 <= answer.status < 500, wrong
    assert site.ask("GET", "/api/storage/retention", owner.authorization).json == {"rules": []}


def test_a_wrong_deletion_or_plan_is_refused_and_changes_nothing(site: Site, home: Home) -> None:
    owner, operator = site.somebody(home), site.operator()
    typed = {"typed": "DELETE THIS RANGE"}
    for wrong in (
        {"from": "2026-13-45T00:00:00Z", **typed},
        {"from": "NaN", **typed},
        {"from": 5, **typed},
        {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z", **typed},
        {"device": "unknown9", "typed": "unknown9"},
        {"device": "un\x00known", "typed": "un\x00known"},
        {"typed": 7},
        {},
    ):
        assert 400 <= site.ask("POST", "/api/storage/deletions", owner.authorization, wrong).status < 500, wrong
    for wrong in ({"storage_bytes": -1}, {"storage_bytes": 2**70}, {"storage_bytes": "2 GB"}, {"raw_days": 0}):
        assert 400 <= site.ask("PUT", "/api/storage/plans/x", operator.authorization, wrong).status < 500, wrong
    assert site.ask("PUT", "/api/storage/plans/No%20Name", operator.authorization, {}).status == 400
    assert site.ask("GET", "/api/storage/deletions", owner.authorization).json == {"deletions": []}


def test_deleting_needs_the_phrase_and_is_audited(site: Site, home: Home) -> None:
    owner, device = site.somebody(home), site.device(home)
    send(site, device)
    refused = form(site, owner, "/data/delete", form="all", typed="delete all my data")
    assert (refused.status, "DELETE ALL MY DATA" in refused.body.decode()) == (400, True)
    assert form(site, owner, "/data/delete", form="range", typed="DELETE THIS RANGE").status == 400
    assert form(site, owner, "/data/delete", form="all", typed="DELETE ALL MY DATA").status == 303
    assert form(site, owner, "/data/delete", form="all", typed="DELETE ALL MY DATA").status == 400, "one runs"
    assert 'hx-trigger="every 1s"' in page(site, owner)
    sweep(site)
    shown = page(site, owner)
    assert 'hx-trigger="every 1s"' not in shown
    assert "10 readings deleted" in shown
    with site.database.read() as tx:
        did = [row.did for row in audit.newest(tx, audit.Wanted(home.id))]
    assert "asked to delete readings" in did


def test_a_deletion_is_followed_and_cancelled_by_the_api(site: Site, home: Home) -> None:
    owner, device = site.somebody(home), site.device(home)
    send(site, device)
    wanted = {"device": device.key, "from": "2026-11-21T11:55:00Z", "typed": "DELETE THIS RANGE"}
    made = site.ask("POST", "/api/storage/deletions", owner.authorization, wanted).json
    assert (made["state"], made["from"]) == ("running", "2026-11-21T11:55:00.000000Z")
    stranger = site.somebody(site.home("Elsewhere"))
    for path in (f"/api/storage/deletions/{made['id']}", f"/api/storage/deletions/{made['id']}/cancel"):
        method = "POST" if path.endswith("cancel") else "GET"
        assert site.ask(method, path, stranger.authorization).status == 404
    assert site.ask("POST", f"/api/storage/deletions/{made['id']}/cancel", owner.authorization).status == 200
    assert deletion.delete(site.database, site.clock.now()) == 0
    found = site.ask("GET", f"/api/storage/deletions/{made['id']}", owner.authorization).json
    assert (found["state"], found["readings_deleted"]) == ("cancelled", 0)


def test_the_operator_gives_and_changes_plans(site: Site, home: Home) -> None:
    owner, operator = site.somebody(home), site.operator()
    assert site.ask("GET", "/admin/plans", **owner.browser).status == 403
    assert form(site, operator, "/admin/plans", name="club", storage="5 GB", raw_days="365").status == 303
    assert form(site, operator, "/admin/plans", name="club", storage="much").status == 400
    assert form(site, operator, "/admin/plans/give", email=owner.email, plan="club").status == 303
    assert form(site, operator, "/admin/plans/give", email="no@example.org", plan="club").status == 400
    assert form(site, operator, "/admin/plans/club/delete").status == 400
    shown = page(site, operator, "/admin/plans")
    assert owner.email in shown
    used = site.ask("GET", "/api/storage", owner.authorization).json
    assert (used["plan"], used["limit_bytes"]) == ("club", 5 << 30)


def test_the_command_line_shows_deletes_and_compacts(site: Site, home: Home, tmp_path: Path) -> None:
    owner, device = site.somebody(home), site.device(home)
    send(site, device, 500)
    sweep(site)
    asked = ["--data", str(tmp_path), "--json"]

    def told(*words: str) -> Any:
        out = CliRunner().invoke(gather(), ["data", *words, *asked])
        assert out.exit_code == 0, out.output
        return json.loads(out.stdout)

    assert told("usage", "--home", home.uid)["home"]["readings"] == 500
    done = told("delete", "--home", home.uid, "--device", device.key, "--typed", "Porch")
    assert (done["state"], done["readings_deleted"]) == ("done", 500)
    assert told("usage", "--home", home.uid)["home"]["readings"] == 0
    told("plans", "--give", "standard", "--to", owner.email)
    assert {one["email"]: one["plan"] for one in told("plans")["owners"]}[owner.email] == "standard"


def test_growth_of_a_week_says_when_it_will_be_full(site: Site, home: Home) -> None:
    site.somebody(home)
    now = site.clock.now()
    with site.database.write() as tx:
        store.save_plan(tx, Plan("unlimited", 2000))
        for day in range(1, 8):
            store.note_size(tx, counting.scope_of(home.id), 1000 - 100 * day, now - timedelta(days=day))
        store.add_usage(tx, {99: (home.id, 1000)}, now)
        found = service.usage(tx, home.id, now).forecast
    assert found.full_in_days == pytest.approx(10)
