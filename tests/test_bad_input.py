"""Whatever is sent, to whichever route, in whichever field: the answer is 2xx or 4xx with a sentence, never a fault."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from tests import badness
from tests.badness import Case
from tests.postgresql import Cluster
from tests.site import Answer, Site, Somebody, Thing, standing_site
from tests.snapshots import access
from tests.snapshots.access import VALID

from waystation import app
from waystation.alerts import store as alert_rows
from waystation.devices import store as device_rows
from waystation.dialects.junctionrelay.strangers import Strangers
from waystation.homes import Role
from waystation.identity import service as passwords
from waystation.kernel import migrations
from waystation.kernel.db import Database
from waystation.kernel.feature import NOBODY
from waystation.kernel.limits import Limiter
from waystation.operation.map import PUBLIC, WEBSOCKET, Door
from waystation.telemetry.store import tail

DOORS = [door for door in access.doors() if door.method != WEBSOCKET]  # a handshake has no body
FEATURES = list(dict.fromkeys(door.feature for door in DOORS))
STEP = timedelta(seconds=1)
SECRETS_OF_THE_HOUSE = re.compile(rb'Traceback|File "|sqlalchemy|sqlite3|psycopg|\.py\b')
UNITS_EACH = 1
DROPSYNC_ID = "esp001"


@dataclass(frozen=True, slots=True)
class World:
    """One home with everything in it that paths can name."""

    owner: Somebody
    operator: Somebody
    device: Thing
    names: Mapping[str, str]

    def named(self, door: Door) -> Mapping[str, str]:
        word = next((word for word in ("incident", "command", "batch") if f"/{word}" in door.path), "rule")
        own = {"device_id": DROPSYNC_ID} if door.feature == "dropsync" else {}
        return {**self.names, **own, "uid": self.names[word]}

    def path(self, door: Door) -> str:
        return "/".join(badness.filled_in(part, self.named(door)) for part in door.path.split("/"))

    def proof(self, door: Door) -> Mapping[str, str]:
        if door.who == PUBLIC:
            return {}
        if door.who == access.BY_TOKEN:
            return {"authorization": f"Bearer {self.device.access_token}"}
        if door.who == access.DEVICE_TOKEN:
            return {"authorization": f"Bearer {self.device.api_key}"}
        if door.who in (access.DEVICE, NOBODY):
            return {"authorization": self.device.authorization}
        somebody = self.operator if door.who == access.OPERATOR else self.owner
        return somebody.browser if door.who == access.AT_BROWSER else {"authorization": somebody.authorization}


def world(at: Site) -> World:
    home = at.home()
    owner, other, device = at.somebody(home), at.somebody(home, Role.VIEWER), at.device(home)

    def made(path: str, body: Any = b"") -> Any:
        answer = at.ask("POST", path, owner.authorization, body)
        assert answer.status < 300, answer.body
        return answer.json

    with at.database.write() as tx:
        device_rows.add_external_id(tx, home.id, device.id, kind="dropsync", value=DROPSYNC_ID)
    rule = made("/api/alerts/rules", VALID["POST /api/alerts/rules"])["uid"]
    channel = made("/api/alerts/channels", {"kind": "console", "name": "Console"})["id"]
    made("/api/storage/retention", {"raw_days": 30})
    batch = made("/api/commands", VALID["POST /api/commands"])
    names = {
        "key": device.key,
        "device_id": str(device.id),
        "credential_id": str(device.credential_id),
        "home_uid": home.uid,
        "home_id": str(home.id),
        "person_id": str(other.id),
        "person_uid": other.uid,
        "rule": rule,
        "incident": _incident(at, home.id, device),
        "channel_id": str(channel),
        "command": batch["commands"][0]["id"],
        "batch": batch["id"],
        "tag": "lake",
        "export_id": str(made("/api/exports")["id"]),
        "rule_id": str(at.ask("GET", "/api/storage/retention", owner.authorization).json["rules"][0]["id"]),
        "plan_name": "free",
        "number": str(made("/api/storage/deletions", VALID["POST /api/storage/deletions"])["id"]),
    }
    return World(owner, at.operator(), device, names)


def _incident(at: Site, home_id: int, device: Thing) -> str:
    now, uid = at.clock.now(), f"incident{device.id}"
    texts = ("rule_uid", "rule_name", "rule_text", "metric", "why_cleared", "value", "threshold", "acked_by", "note")
    about = {"home_id": home_id, "device_id": device.id, "device_key": device.key, "device_name": "Porch"}
    when = {"opened_at": now, "noticed_at": now, "times": 1, "evidence": [], "severity": "warning"}
    with at.database.write() as tx:
        alert_rows.add_incident(tx, uid=uid, **about, **when, **dict.fromkeys(texts, "x"))
    return uid


@contextmanager
def standing(folder: Path, **chosen: Any) -> Iterator[Site]:
    """Passwords cost nothing here, and strangers need not wait."""
    kept = passwords.HASHER, passwords.NOBODY
    passwords.HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords.NOBODY = passwords.HASHER.hash("nobody's")
    try:
        with standing_site(folder, **chosen) as site:
            site.parts.put(Strangers, Strangers(wait_seconds=0))
            yield site
    finally:
        passwords.HASHER, passwords.NOBODY = kept


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with standing(tmp_path_factory.mktemp("sqlite")) as made:
        yield made


@pytest.fixture(scope="module")
def site_on_postgres(postgres_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    url = postgres_cluster.new_database()
    with closing(Database(url)) as database:
        migrations.bring_up_to_date(database, app.PACKAGE)
    with standing(tmp_path_factory.mktemp("postgres"), database_url=url) as made:
        yield made
    postgres_cluster.drop(url)


class Walk:
    """Asks one case after the other, of a home that is made anew when a case has broken it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.fields = badness.fields(site.hot, DOORS)
        self.world = world(site)
        self.asked = 0
        self.wrong: list[str] = []

    def cases(self, door: Door) -> Iterator[Case]:
        return badness.cases(door, self.world.path(door), self.world.named(door), self.fields[door])

    def of_feature(self, feature: str) -> Iterator[Case]:
        for door in DOORS:
            if door.feature == feature:
                yield from self.cases(door)

    def ask_and_look(self, case: Case) -> None:
        self.site.clock.at += STEP
        self.site.parts.put(Limiter, Limiter())  # else most would be turned away as too many
        answer = self.ask(case)
        self.asked += 1
        if (why := what_is_wrong(case, answer)) is not None:
            self.wrong.append(f"{case}: {answer.status} {why}: {answer.body[:300]!r}")
        if answer.status == 401 and case.door.who != PUBLIC:  # signed out
            self.world = world(self.site)

    def ask(self, case: Case) -> Answer:
        named = dict(self.world.proof(case.door))
        if case.kind:
            named["content_type"] = case.kind
        if case.encoding:
            named["content_encoding"] = case.encoding
        return self.site.ask(case.door.method, case.path, body=case.body, **named)


def what_is_wrong(case: Case, answer: Answer) -> str | None:
    """None when it is a good answer to a bad request."""
    if answer.status >= 500:
        return "a fault"
    if SECRETS_OF_THE_HOUSE.search(answer.body):
        return "tells what is behind it"
    if case.never and answer.status < 400:
        return "was content with it"
    if answer.status < 400 or case.door.method == "HEAD":
        return None
    return None if has_sentence(answer) else "has no sentence"


def has_sentence(answer: Answer) -> bool:
    kind = answer.headers.get("content-type", "")
    if "json" not in kind:
        return kind.startswith("text/html") and b"</html>" in answer.body  # the page of the form, with what is wrong
    return any(" " in text for text in texts(json.loads(answer.body)))


def texts(told: Any) -> Iterator[str]:
    """Dialects say it under names of their own."""
    if isinstance(told, str):
        yield told
    elif isinstance(told, dict | list):
        for inner in told.values() if isinstance(told, dict) else told:
            yield from texts(inner)


def in_a_fixed_order(case: Case) -> int:
    return crc32(str(case).encode())


def test_some_bad_input_to_every_route_is_refused_in_one_sentence__G_10(site: Site) -> None:
    """The same few of each in every run."""
    walk = Walk(site)
    for door in DOORS:
        small = [case for case in walk.cases(door) if case.wrong not in badness.LARGE]
        for case in sorted(small, key=in_a_fixed_order)[:UNITS_EACH]:
            walk.ask_and_look(case)
    assert walk.wrong == []
    assert walk.asked > len(DOORS) // 2


@pytest.mark.servers
@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("one_in", [8, pytest.param(1, marks=pytest.mark.faults)])
def test_bad_input_is_refused_in_one_sentence__G_10(feature: str, one_in: int, site: Site) -> None:
    walk = Walk(site)
    for case in walk.of_feature(feature):
        if in_a_fixed_order(case) % one_in == 0:
            walk.ask_and_look(case)
    assert walk.wrong == []


@pytest.mark.servers
@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("one_in", [8, pytest.param(1, marks=pytest.mark.faults)])
def test_bad_input_is_refused_in_one_sentence_on_postgresql_too__G_10(
    feature: str, one_in: int, site_on_postgres: Site
) -> None:
    """Which takes no NUL, no half of a surrogate pair and no number beyond its type."""
    walk = Walk(site_on_postgres)
    for case in walk.of_feature(feature):
        if case.wrong in badness.DIFFER and in_a_fixed_order(case) % one_in == 0:
            walk.ask_and_look(case)
    assert walk.wrong == []


@pytest.mark.servers
@pytest.mark.parametrize("path", ["/api/readings", "/api/telemetry/ingest"])
def test_of_a_refused_reading_nothing_is_stored__G_11(path: str, site: Site) -> None:
    walk = Walk(site)
    (door,) = (door for door in DOORS if (door.method, door.path) == ("POST", path))
    for case in walk.cases(door):
        before = stored(site)
        if walk.ask(case).status >= 400:
            assert stored(site) == before, case


def stored(site: Site) -> int:
    with site.database.read() as tx:
        return tx.scalar(sa.select(sa.func.count()).select_from(tail))
