"""What admins and those who run the site see, and what everybody else does not."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.site import Site, standing_site

from waystation.homes import Role


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standing_site(tmp_path) as made:
        yield made


def html(site: Site, path: str, authorization: str) -> str:
    answer = site.ask("GET", path, authorization, accept="text/html")
    assert answer.status == 200, answer.body
    return answer.body.decode()


def test_an_admin_reads_what_was_done_in_their_home_and_in_no_other(site: Site) -> None:
    ours, theirs = site.home("Lake house"), site.home("Town house")
    ann, bob = site.somebody(ours, Role.ADMIN), site.somebody(theirs, Role.OWNER)
    made = site.ask("POST", f"/api/devices/{site.device(ours).key}/credentials", ann.authorization, {})
    assert made.status == 200
    assert "made an API key" in html(site, "/admin/audit", ann.authorization)
    assert "made an API key" not in html(site, "/admin/audit", bob.authorization)
    assert made.json["secret"] not in html(site, "/admin/audit", ann.authorization)


def test_the_audit_log_is_filtered_by_words_and_days(site: Site) -> None:
    home = site.home()
    ann = site.somebody(home, Role.ADMIN)
    key = site.device(home, "Pump").key
    site.ask("POST", f"/api/devices/{key}/credentials", ann.authorization, {})
    assert "made an API key" in html(site, f"/admin/audit?q={key}+api", ann.authorization)
    assert "Nothing found" in html(site, "/admin/audit?q=nobody+ever", ann.authorization)
    assert "made an API key" in html(site, "/admin/audit?since=2026-11-21&until=2026-11-21", ann.authorization)
    assert "Nothing found" in html(site, "/admin/audit?until=2026-11-20", ann.authorization)
    assert site.ask("GET", "/admin/audit?since=soon", ann.authorization, accept="text/html").status == 400


def test_the_audit_log_as_csv_runs_no_formula(site: Site) -> None:
    home = site.home()
    ann = site.somebody(home, Role.OWNER, email="=cmd@example.org")
    site.ask("POST", f"/api/devices/{site.device(home).key}/credentials", ann.authorization, {"days": 3})
    answer = site.ask("GET", "/admin/audit.csv", ann.authorization)
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert rows[0]["did"] == "made an API key"
    assert rows[0]["who"].startswith("person:=cmd")
    assert answer.headers["content-type"].startswith("text/csv")


def test_a_viewer_sees_values_and_no_way_to_change_anything(site: Site) -> None:
    home = site.home()
    eve, thing = site.somebody(home, Role.VIEWER), site.device(home)
    shown = html(site, "/devices", eve.authorization) + html(site, f"/devices/{thing.key}", eve.authorization)
    assert thing.key in shown
    assert "/admin" not in shown
    assert not re.search(r"<form[^>]*method=\"post\"(?![^>]*signout)", shown)
    refused = site.ask("POST", f"/devices/{thing.key}/disable", eve.authorization)
    assert refused.status == 403
    assert refused.json["detail"] == "this needs the role admin; yours is viewer"


def test_only_who_runs_the_site_sees_everybodys_accounts_and_sessions(site: Site) -> None:
    home = site.home()
    ann = site.somebody(home, Role.OWNER)
    for path in ("/admin/accounts", "/admin/sessions", "/admin/homes", "/system"):
        assert site.ask("GET", path, ann.authorization).status == 403
    operator = site.operator()
    assert ann.email in html(site, "/admin/accounts", operator.authorization)
    assert ann.email in html(site, "/admin/sessions", operator.authorization)
    assert "Lake house" in html(site, "/admin/homes", operator.authorization)


def test_signing_somebody_out_ends_their_access_at_once(site: Site) -> None:
    home = site.home()
    ann, operator = site.somebody(home), site.operator()
    assert site.ask("GET", "/api/last-values", ann.authorization).status == 200
    assert site.ask("POST", f"/admin/accounts/{ann.id}/sign-out", operator.authorization).status == 303
    assert site.ask("GET", "/api/last-values", ann.authorization).status == 401


def test_a_disabled_account_is_out_until_it_is_enabled(site: Site) -> None:
    ann, operator = site.somebody(site.home()), site.operator()
    assert site.ask("POST", f"/admin/accounts/{ann.id}/disable", operator.authorization).status == 303
    assert site.ask("GET", "/api/last-values", ann.authorization).status == 401
    assert site.ask("POST", f"/admin/accounts/{ann.id}/disable", operator.authorization).status == 409
    assert site.ask("POST", f"/admin/accounts/{operator.id}/disable", operator.authorization).status == 409
    assert site.ask("POST", f"/admin/accounts/{ann.id}/enable", operator.authorization).status == 303


def test_a_link_to_choose_a_new_password_is_shown_once(site: Site) -> None:
    ann, operator = site.somebody(site.home()), site.operator()
    shown = site.ask("POST", f"/admin/accounts/{ann.id}/reset-link", operator.authorization).body.decode()
    link = re.search(r"/reset/([\w-]{43})", shown)
    assert link is not None
    assert link[1] not in html(site, "/admin/accounts", operator.authorization)
    assert link[1] not in html(site, "/admin/audit", operator.authorization)


def test_a_key_is_rotated_without_a_gap(site: Site) -> None:
    home = site.home()
    ann, thing = site.somebody(home, Role.ADMIN), site.device(home)
    path = f"/api/devices/{thing.key}/credentials"
    made = site.ask("POST", f"{path}/{thing.credential_id}/rotate", ann.authorization, {}).json
    reading = {"values": {"temperature": 20.5}}
    renewed = f"Device {thing.serial}:{made['secret']}"
    assert site.ask("POST", "/api/readings", thing.authorization, reading).status == 200
    assert states(site, path, ann.authorization) == ["candidate", "active"]
    assert site.ask("POST", "/api/readings", renewed, reading).status == 200
    assert site.ask("POST", "/api/readings", thing.authorization, reading).status == 403
    assert states(site, path, ann.authorization) == ["active", "retired"]


def states(site: Site, path: str, authorization: str) -> list[str]:
    """Of the API keys, newest first."""
    return [one["state"] for one in site.ask("GET", path, authorization).json if one["kind"] == "api_key"]


def test_a_rotated_key_that_nobody_used_ends_with_the_overlap(site: Site) -> None:
    home = site.home()
    ann, thing = site.somebody(home, Role.ADMIN), site.device(home)
    path = f"/api/devices/{thing.key}/credentials/{thing.credential_id}/rotate"
    site.ask("POST", path, ann.authorization, {"overlap_days": 0.001})
    reading = {"values": {"temperature": 20.5}}
    assert site.ask("POST", "/api/readings", thing.authorization, reading).status == 200
    site.clock.turn(100)
    assert site.ask("POST", "/api/readings", thing.authorization, reading).status == 403


def test_a_credential_made_for_a_day_ends_after_it(site: Site) -> None:
    home = site.home()
    ann, thing = site.somebody(home, Role.ADMIN), site.device(home)
    wanted = {"kind": "client_secret", "days": 1}
    made = site.ask("POST", f"/api/devices/{thing.key}/credentials", ann.authorization, wanted).json
    reading, given = {"values": {"temperature": 20.5}}, f"Device {thing.serial}:{made['secret']}"
    assert made["kind"] == "client_secret"
    assert site.ask("POST", "/api/readings", given, reading).status == 200
    site.clock.turn(86400)
    assert site.ask("POST", "/api/readings", given, reading).status == 403


@pytest.mark.parametrize("path", ["/admin/accounts/{}/disable", "/people/{}/remove", "/admin/sessions/browsers/{}/end"])
def test_a_number_that_no_row_can_have_is_not_found(site: Site, path: str) -> None:
    operator = site.operator()
    assert site.ask("POST", path.format(10**22), operator.authorization).status == 404
    assert site.ask("POST", path.format(10**22)).status == 401
