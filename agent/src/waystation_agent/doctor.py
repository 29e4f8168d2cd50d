"""Looks at everything the agent stands on, and says of each what is wrong and what to do."""

import shutil
import socket
import sqlite3
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from waystation_agent import identity, live, service, time_sync, unit
from waystation_agent.address import is_on_site
from waystation_agent.commands.config import Allowed
from waystation_agent.errors import BadInput, Fault, Unreachable
from waystation_agent.folder import Folder
from waystation_agent.hub_work import Wanted
from waystation_agent.identity import Identity, Paired
from waystation_agent.journal import Journal
from waystation_agent.link import Answer, Link
from waystation_agent.packages.model import Stage
from waystation_agent.sensors.board import read_all
from waystation_agent.sensors.config import load
from waystation_agent.spool import LIMIT_BYTES, Spool

CONNECT_SECONDS = 5.0
CLOCK_SECONDS = 5.0
"""How far from the hub's clock is worth a word; `Date` is no finer than a second."""
CERTIFICATE_DAYS = 14
LITTLE_BYTES = 32 * 1024 * 1024


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    name: str
    verdict: Verdict
    found: str
    to_do: str = ""


def ok(name: str, found: str) -> Check:
    return Check(name, Verdict.OK, found)


def warn(name: str, found: str, to_do: str) -> Check:
    return Check(name, Verdict.WARN, found, to_do)


def fail(name: str, found: str, to_do: str) -> Check:
    return Check(name, Verdict.FAIL, found, to_do)


def examine(folder: Folder) -> Iterator[Check]:
    """Make one check after the other, so that a person sees them come."""
    for look in (_folder, _space, _spool, _journal, _clock, _running, _service):
        yield _guarded(look, folder)
    paired = None
    try:
        paired = identity.load(folder.identity).identity
    except (Fault, OSError) as error:
        yield fail("state", str(error), "pair this device again")
    else:
        yield _state(folder, paired)
    if paired:
        yield from _network(paired)
    yield from _sensors(folder)
    yield from _commands_and_packages(folder)


def _guarded(look: Callable[[Folder], Check], folder: Folder) -> Check:
    try:
        return look(folder)
    except (OSError, Fault) as error:
        return fail(look.__name__.strip("_"), str(error), "run doctor as the agent's own user, or as root")


# This machine


def _folder(folder: Folder) -> Check:
    if not folder.path.is_dir():
        return warn("folder", f"{folder.path} is not there", "pair this machine, or name another folder with --data")
    mode = folder.path.stat().st_mode & 0o777
    if mode & 0o077:
        return warn("folder", f"{folder.path} is open to others (mode {mode:o})", f"chmod 700 {folder.path}")
    secrets = [path for path in (folder.identity, folder.identity.with_name("agent.json.bak")) if path.exists()]
    if is_open := [path.name for path in secrets if path.stat().st_mode & 0o077]:
        return fail("folder", f"others may read {', '.join(is_open)}", f"chmod 600 {folder.path}/agent.json*")
    return ok("folder", f"{folder.path}, for its owner only")


def _space(folder: Folder) -> Check:
    place = next(path for path in (folder.path, *folder.path.parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    found = f"{free // 1_048_576} MiB free"
    if free < LITTLE_BYTES:
        return fail("disk", found, "make room: without it samples are lost while the server is away")
    if free < LITTLE_BYTES + LIMIT_BYTES:
        return warn("disk", found, f"a full spool takes {LIMIT_BYTES // 1_048_576} MiB")
    return ok("disk", found)


def _spool(folder: Folder) -> Check:
    if not folder.spool.exists():
        return ok("spool", "empty")
    try:
        with closing(Spool(folder.spool)) as spool:
            damage, depth, dropped = spool.damage(), spool.depth(), spool.count("dropped_total")
    except sqlite3.DatabaseError as error:
        return fail("spool", f"{folder.spool} cannot be used: {error}", "a damaged one is set aside at the next start")
    if damage:
        return fail("spool", f"damaged: {damage}", "restart the agent: it sets the damaged file aside and goes on")
    if dropped:
        return warn("spool", f"{depth} samples wait, {dropped} were given up", "see below why the server was away")
    return ok("spool", f"sound, {depth} samples wait")


def _journal(folder: Folder) -> Check:
    if not folder.journal.exists():
        return ok("journal", "empty")
    try:
        with closing(Journal(folder.journal)) as journal:
            damage, waiting = journal.damage(), journal.uploads_waiting()
            failed = [one for one in journal.newest_packages() if one.stage is Stage.FAILED]
    except sqlite3.DatabaseError as error:
        return fail("journal", f"{folder.journal} cannot be used: {error}", "a damaged one is set aside at a start")
    if damage:
        return fail("journal", f"damaged: {damage}", "restart the agent: it sets the damaged file aside and goes on")
    if failed:
        return warn("journal", f"{failed[0].package.name}: {failed[0].reason}", "correct it, and stage it again")
    return ok("journal", f"sound, {waiting} files wait")


def _clock(folder: Folder) -> Check:
    del folder
    match time_sync.is_synchronized():
        case True:
            return ok("clock", "set by the network")
        case False:
            return warn("clock", "not set by the network", "timedatectl set-ntp true; samples wait for a known time")
        case None:
            return ok("clock", "this system does not tell whether it is set; compared with the server's below")


def _running(folder: Folder) -> Check:
    if not folder.is_running():
        return warn("agent", "not running", "waystation-agent run, or sudo waystation-agent install-service")
    told = live.ask(folder.live)
    if told is None:
        return warn("agent", "running, but does not answer", "restart it if this stays")
    if stuck := told.get("stuck"):
        return fail("agent", f"stuck: {stuck}", "restart it; the service does so by itself")
    return ok("agent", f"running as process {told.get('pid')}, version {told.get('version')}")


def _service(folder: Folder) -> Check:
    del folder
    places = [place for place in (service.Place(), service.Place(is_users=True)) if place.is_ours()]
    if not places:
        return ok("service", "none is installed")
    place = places[0]
    if not service.is_systemd_running():
        return warn("service", f"{place.path} is there, but no systemd runs", "start the agent in another way")
    state = service.systemctl(place, "is-active", unit.NAME).stdout.strip()
    if state != "active":
        return fail("service", f"installed, but {state}", f"journalctl {'--user ' * place.is_users}-u {unit.NAME}")
    if _is_outdated(place):
        return warn("service", "active, but not as agent.toml now wants", "run install-service again")
    return ok("service", f"active by {place.path}")


def _is_outdated(place: service.Place) -> bool:
    """Tell whether the unit lacks devices or folders that agent.toml needs; other settings are not compared."""
    keys = ("DeviceAllow=", "BindReadOnlyPaths=", "ReadWritePaths=", "SupplementaryGroups=")
    try:
        wanted = service.unit_text(place)
    except BadInput:
        return False  # said by the check of the sensors
    installed = place.path.read_text().splitlines()
    return any(line.startswith(keys) and line not in installed for line in wanted.splitlines())


def _state(folder: Folder, paired: Paired | None) -> Check:
    if paired is None:
        return fail("state", "not paired", "waystation-agent pair CODE --server http://hub.local:8000")
    return ok("state", f"{paired.name} ({paired.key}) at {paired.server.url}, in {folder.identity}")


def _sensors(folder: Folder) -> Iterator[Check]:
    try:
        sensors = load(folder.sensors)
    except BadInput as error:
        yield fail("sensors", str(error), f"correct {folder.sensors}; the agent does not start with it")
        return
    for sensor in read_all(sensors):
        name = f"sensor {sensor.name}"
        if sensor.fault:
            verdict = Verdict.WARN if sensor.values else Verdict.FAIL
            yield Check(name, verdict, sensor.fault, f"waystation-agent sensor test {sensor.kind}")
        else:
            yield ok(name, f"{len(sensor.values)} values")


def _commands_and_packages(folder: Folder) -> Iterator[Check]:
    try:
        wanted = Wanted.load(folder)
    except BadInput as error:
        yield fail("commands", str(error), f"correct {folder.sensors}; the agent does not start with it")
        return
    yield _reboot(wanted.askable.allowed)
    for script in wanted.askable.scripts.values():
        yield _program(f"script {script.name}", script.command[0])
    for kind, manner in wanted.deploying.manners.items():
        for command in (manner.after, manner.check):
            if command:
                yield _program(f"packages.{kind}", command[0])
        if not Path(manner.path).is_relative_to(folder.packages.absolute()):
            yield _place(kind, Path(manner.path))


def _reboot(allowed: Allowed) -> Check:
    if not allowed.reboot:
        return ok("reboot", "not allowed from afar; [commands] reboot = true in agent.toml allows it")
    place = service.Place()
    if place.is_ours():
        if unit.REBOOT_VARIABLE in place.path.read_text() and place.path.with_name(unit.REBOOT_PATH).exists():
            return ok("reboot", f"allowed, by {unit.REBOOT_PATH}")
        return warn("reboot", "allowed, but the service has no right to", "run install-service again")
    return _program("reboot", allowed.reboot_command[0])


def _program(name: str, program: str) -> Check:
    if shutil.which(program):
        return ok(name, f"{program} is there")
    return fail(name, f"{program} is not there, or cannot be run", "correct agent.toml, or install it")


def _place(kind: str, path: Path) -> Check:
    """Judged by who runs the doctor; the service has a user of its own."""
    name = f"packages.{kind}"
    if not path.is_dir():
        return warn(name, f"{path} is not there", f"make it, for a group that may write: install -d -m 2770 {path}")
    if service.Place().is_ours() and not path.stat().st_mode & 0o020:
        return warn(name, f"the service cannot write to {path}", f"chgrp GROUP {path}; chmod 2770 {path}")
    return ok(name, f"go to {path}")


# The way to the server, each step only if the one before went well


def _network(paired: Paired) -> Iterator[Check]:
    parts = urlsplit(paired.server.url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    for look in (_name, _connection):
        check = look(host, port)
        yield check
        if check.verdict is Verdict.FAIL:
            return
    tls = _tls(paired, host, port)
    yield tls
    if tls.verdict is not Verdict.FAIL:
        yield from _answers(paired)


def _name(host: str, port: int) -> Check:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return fail("name", f"{host}: {error.strerror or error}", "check the server's name and this machine's DNS")
    return ok("name", f"{host} is {', '.join(dict.fromkeys(str(entry[4][0]) for entry in found))}")


def _connection(host: str, port: int) -> Check:
    began = time.monotonic()
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        return fail("connection", f"{host} port {port}: {error.strerror or error}", "is the server on? a firewall?")
    return ok("connection", f"port {port} answers in {(time.monotonic() - began) * 1_000:.0f} ms")


def _tls(paired: Paired, host: str, port: int) -> Check:
    if not paired.server.url.startswith("https:"):
        return _plain(paired, host, port)
    try:
        trusted = ssl.create_default_context(cafile=paired.server.ca_file)
        with (
            socket.create_connection((host, port), CONNECT_SECONDS) as plain,
            trusted.wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
            version = secured.version()
    except ssl.SSLCertVerificationError as error:
        return fail("tls", f"the certificate is not trusted: {error.verify_message}", "pair again with --ca-file FILE")
    except OSError as error:
        return fail("tls", f"no secure connection: {error.strerror or error}", "does this port speak https?")
    ends_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    days = (ends_at - datetime.now(UTC)).days
    found = f"{version}, certificate until {ends_at:%Y-%m-%d}"
    if days < CERTIFICATE_DAYS:
        return warn("tls", f"{found}, {days} days", "renew the server's certificate")
    return ok("tls", found)


def _plain(paired: Paired, host: str, port: int) -> Check:
    with socket.create_connection((host, port), CONNECT_SECONDS) as connection:
        peer = str(connection.getpeername()[0])
    if is_on_site(peer):
        return ok("tls", "plain http, on site only")
    if paired.server.insecure_http:
        return warn("tls", f"plain http to a public address ({peer})", "others can read the device's secret; use https")
    return fail("tls", f"plain http to a public address ({peer}) is refused", "pair again with an https address")


def _answers(paired: Paired) -> Iterator[Check]:
    link = Link(paired.server)
    try:
        answer = link.get("/health")
        yield _server(answer)
        yield _server_clock(answer)
        yield _credential(link, paired)
    except (Unreachable, BadInput) as error:
        yield fail("server", str(error), "is it the right address?")
    finally:
        link.close()


def _server(answer: Answer) -> Check:
    fields = answer.fields()
    version = f", version {fields['version']}" if fields.get("version") else ""
    if answer.status == 200 and fields.get("ready") is False:
        return fail("server", "it answers, but cannot serve", "look at the server's log; samples wait here meanwhile")
    if answer.status >= 500:
        return fail("server", f"it answers {answer.status}", "look at the server's log; samples wait here meanwhile")
    return ok("server", f"it answers {answer.status}{version}")


def _server_clock(answer: Answer) -> Check:
    if answer.hub_time_us is None:
        return ok("time", "the server does not tell the time")
    ahead_seconds = time.time() - answer.hub_time_us / 1_000_000
    if abs(ahead_seconds) < CLOCK_SECONDS:
        return ok("time", "this clock and the server's agree")
    word = "ahead of" if ahead_seconds > 0 else "behind"
    return warn(
        "time", f"this clock is {abs(ahead_seconds):.0f} s {word} the server's", "set the clocks by the network"
    )


def _credential(link: Link, paired: Paired) -> Check:
    """Send no reading at all: a hub refuses the device before it looks at what came."""
    if not isinstance(paired, Identity):
        return ok("credential", "a JunctionRelay server tells only when a report is sent; see `status`")
    headers = {"Authorization": paired.authorization, "Content-Type": "application/json"}
    answer = link.post("/api/readings", b"[]", headers)
    if answer.status in {401, 403}:
        return fail("credential", f"refused: {answer.problem()}", "make a new code on the server's page and pair again")
    if answer.status in {200, 400, 422}:
        return ok("credential", "accepted")
    return warn("credential", f"not told: {answer.problem()}", "ask again later")
