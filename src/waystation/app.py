"""The whole wiring: which features there are, and the long-lived parts that a process is made of."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from waystation import (
    __version__,
    alerts,
    commands,
    dashboard,
    devices,
    files,
    homes,
    identity,
    messages,
    telemetry,
    web,
)
from waystation.dialects import dropsync, junctionrelay, smarthome, thermostat
from waystation.kernel import faults, https, limits, mail, openapi, outbox, pages, server, status
from waystation.kernel.blobs import Blobs, Drafts, LocalBlobs
from waystation.kernel.bus import Bus, LocalBus
from waystation.kernel.calls import wants_html
from waystation.kernel.checkpoints import Checkpoints
from waystation.kernel.clock import Clock, SystemClock
from waystation.kernel.db import Database, Listener
from waystation.kernel.errors import Unauthenticated
from waystation.kernel.feature import Every, Feature, loaded
from waystation.kernel.hot import Hot
from waystation.kernel.jobs import Job, Sweeper
from waystation.kernel.jwt import Tokens
from waystation.kernel.limits import Limiter
from waystation.kernel.mqtt import Admitted, MqttLink
from waystation.kernel.nats_bus import NatsBus
from waystation.kernel.nats_keys import AccountKey
from waystation.kernel.nats_server import EmbeddedNats, NatsOptions
from waystation.kernel.outbox import Courier
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.place import Waiting
from waystation.kernel.problems import Problem, problem_of
from waystation.kernel.room import Room
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings
from waystation.kernel.short import short_ways
from waystation.kernel.stopping import Stopping
from waystation.kernel.streams import Streams
from waystation.kernel.tries import Tries

FEATURES: Sequence[Feature] = (
    limits.feature,
    mail.feature,
    identity.feature,
    homes.feature,
    devices.feature,
    telemetry.feature,
    commands.feature,
    messages.feature,
    files.feature,
    alerts.feature,
    thermostat.feature,
    smarthome.feature,
    junctionrelay.feature,
    dropsync.feature,
    dashboard.feature,
)
PACKAGE = Path(__file__).parent
LOG_PAGES = 16_384
"""How long SQLite's log gets, 64 MB, before a commit sees to it after all because Checkpoints could not."""
TEMPLATES = {
    name: PACKAGE / name / "templates" for name in ("identity", "homes", "messages", "files", "alerts", "dashboard")
} | {
    "keeping": PACKAGE / "telemetry" / "keeping" / "templates",
    "console": PACKAGE / "dashboard" / "console" / "templates",
    "activity": PACKAGE / "dashboard" / "activity" / "templates",
    "boards": PACKAGE / "dashboard" / "boards" / "templates",
    "history": PACKAGE / "telemetry" / "history" / "templates",
    "thermostat": PACKAGE / "dialects" / "thermostat" / "templates",
    "dropsync": PACKAGE / "dialects" / "dropsync" / "templates",
}
NAV = (
    ("Dashboards", "/boards", homes.Role.VIEWER),
    ("Devices", "/devices", homes.Role.VIEWER),
    ("Commands", "/commands", homes.Role.VIEWER),
    ("Messages", "/messages", homes.Role.VIEWER),
    ("Files", "/files", homes.Role.VIEWER),
    ("Packages", "/packages", homes.Role.VIEWER),
    ("History", "/history", homes.Role.VIEWER),
    ("Alerts", "/alerts", homes.Role.VIEWER),
    ("Activity", "/activity", homes.Role.VIEWER),
    ("Data", "/data", homes.Role.ADMIN),
    ("People", "/people", homes.Role.VIEWER),
    ("Admin", "/admin", homes.Role.ADMIN),
)


def build(settings: Settings, clock: Clock | None = None) -> Hot:
    """The ASGI app of one process. Its database must be up to date (migrations.bring_up_to_date)."""
    parts = wire(settings, clock or SystemClock())
    app = FastAPI(title="Waystation", version=__version__, docs_url=None, redoc_url=None, lifespan=_lifespan)
    app.state.parts = parts
    app.router.redirect_slashes = False
    if settings.https_only:
        app.add_middleware(https.OnlyHttps, public_url=settings.public_url)
    faults.install(app, partial(_problem_page, parts))
    app.add_exception_handler(Unauthenticated, _sign_in_or_problem)
    for router in (status.router, *(loaded(router) for feature in FEATURES for router in feature.routes)):
        app.router.routes.extend(router.routes)  # as they are: include_router would make every one of them anew
    openapi.describe(app, FEATURES)
    app.mount(web.STATIC_URL, StaticFiles(directory=web.STATIC))
    hot = [route for feature in FEATURES for route in feature.hot]
    short = short_ways(app, FEATURES)
    return Hot(app, hot, parts, settings.max_body_bytes, takes_plain=settings.plain_http_ingest, short=short)


def wire(settings: Settings, clock: Clock) -> Parts:
    """Every long-lived part, made and not yet started."""
    keys = KeyRing(settings.data / "keys")
    listeners: dict[type, list[Listener]] = {}
    database = Database(settings.database, listeners=listeners, log_pages=LOG_PAGES)
    tokens = Tokens(keys)
    bus = NatsBus(partial(_nats_url, settings)) if settings.nats_url.get_secret_value() else LocalBus()
    gate, live = devices.Gate(database, clock, tokens), telemetry.Live(bus)
    told = [live.readings_stored]
    quota = telemetry.Quota(database, clock, settings.default_plan, settings.data)
    limiter, seen = _limiter(settings, clock), devices.seen
    ingest = telemetry.Ingest(database, clock, settings, seen=seen, told=told, slot=server.slot(), quota=quota)
    intake = messages.Intake(
        database, clock, settings, limiter, seen=seen, check_room=ingest.check_room, refused=ingest.refused
    )
    sealing = Sealing(keys)
    notices = alerts.channels.sender(database, clock, settings, sealing)
    senders = {outbox.NOTICE: bus.publish, mail.MAIL: mail.sender(settings), alerts.channels.OUTBOX: notices}
    courier = Courier(database, clock, senders, may_send=lambda: parts.get(Sweeper).owns)
    _listen(listeners, gate, courier)
    listeners[messages.Logged] = [partial(messages.announce, bus)]
    for told_of, listener in commands.on_the_bus(bus).items():
        listeners.setdefault(told_of, []).append(listener)

    parts = Parts(
        settings,
        keys,
        database,
        gate,
        live,
        ingest,
        intake,
        Streams(bus),
        courier,
        limiter,
        telemetry.Throttle(limiter, settings, planned=ingest.quota.per_minute),
        Stopping(),
        tokens,
        identity.signin.SignIns(),
        alerts.channels.Desk(sealing, settings),
        waiting := commands.Waiting(),
        delivery := commands.Delivery(database, clock, waiting),
        commands.Sockets(gate, delivery),
    )
    parts.put(Clock, clock)
    parts.put(Bus, bus)
    parts.put(Waiting, waiting := Waiting({"/alerts": alerts.count_open}))
    place = partial(homes.shown_place, database, waiting)
    parts.put(Pages, Pages(web.environment(TEMPLATES), web.CONTENT_SECURITY_POLICY, NAV, clock, place=place))
    parts.put(identity.account.Homes, identity.account.Homes(homes.homes_of))
    if settings.oidc_issuer:
        parts.put(identity.oidc.Provider, identity.oidc.Provider(settings))
        parts.put(identity.oidc.Guests, identity.oidc.Guests(homes.is_invited))
    _wire_files(settings, parts, quota)
    _wire_mqtt(settings, parts)
    parts.put(Sweeper, Sweeper(database, clock, [_job(parts, f, every) for f in FEATURES for every in f.jobs]))
    return parts


def _wire_files(settings: Settings, parts: Parts, room: Room) -> None:
    folder = settings.data / "blobs"
    parts.put(Blobs, LocalBlobs(folder))
    parts.put(Drafts, Drafts(folder / "drafts", settings.min_free_bytes))
    parts.put(Room, room)
    parts.put(files.Receiving, files.Receiving(parts))
    parts.put(files.packages.Idle, files.packages.Idle())


def _limiter(settings: Settings, clock: Clock) -> Limiter:
    """SQLite serves one process, which counts tries itself. Connections of their own: see Tries."""
    tries = None if settings.is_sqlite else Tries(Database(settings.database, pool_size=2), clock)
    return Limiter(settings.redis_url.get_secret_value(), tries=tries)


def heard() -> dict[type, list[Listener]]:
    """The features' listeners, which a command tells too."""
    listeners: dict[type, list[Listener]] = {}
    for feature in FEATURES:
        for kind, listener in feature.listens.items():
            listeners.setdefault(kind, []).append(listener)
    return listeners


def _listen(listeners: dict[type, list[Listener]], gate: devices.Gate, courier: Courier) -> None:
    listeners.update(heard())
    listeners[devices.AccessChanged] = [lambda tx, told, _: tx.after_commit(partial(gate.drop, told.device_id))]
    listeners[outbox.Put] = [lambda tx, told, _now: tx.after_commit(partial(courier.nudge, told.kind))]


def _wire_mqtt(settings: Settings, parts: Parts) -> None:
    """With a NATS of the owner's own, or one that we start; without either, devices use HTTP."""
    where: Callable[[], str | None] = partial(_nats_url, settings)
    before_devices: Callable[[], None] | None = None
    if not settings.nats_url.get_secret_value():
        if not settings.mqtt_port:
            return
        options = NatsOptions(
            mqtt_host=settings.mqtt_host,
            mqtt_port=settings.mqtt_port,
            max_payload_bytes=settings.max_body_bytes,
            min_free_bytes=settings.min_free_bytes,
        )
        nats = EmbeddedNats(settings.data / "nats", options, parts.get(KeyRing))
        parts.put(EmbeddedNats, nats)
        where, before_devices = nats.url, nats.sync_names
    gate = parts.get(devices.Gate)

    async def admit(user: str, password: str) -> Admitted:
        return Admitted((await gate.admit_login(user, password)).key)

    key = AccountKey(parts.get(KeyRing).get("nats-account"))
    parts.put(MqttLink, MqttLink(where, key, admit, before_devices=before_devices))


def _nats_url(settings: Settings) -> str | None:
    return settings.nats_url.get_secret_value() or None


def _job(parts: Parts, feature: Feature, every: Every) -> Job:
    database, clock = parts.get(Database), parts.get(Clock)

    def work() -> int:
        if every.takes_parts:
            return every.sweep(parts, clock.now())
        if every.own_transactions:
            return every.sweep(database, clock.now())
        with database.write() as tx:
            return every.sweep(tx, clock.now())

    return Job(f"{feature.name}.{every.sweep.__name__}", every.seconds, work)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Starts the parts in the order in which they lean on each other, and ends them in the opposite one."""
    parts: Parts = app.state.parts
    async with AsyncExitStack() as stack:
        stack.callback(parts.get(Database).close)
        checkpoints = Checkpoints(parts.get(Database))
        checkpoints.start()
        stack.callback(checkpoints.close)
        stack.callback(parts.get(Limiter).close)
        if parts.has(EmbeddedNats):
            stack.push_async_callback(parts.get(EmbeddedNats).stop)
            await parts.get(EmbeddedNats).start()
        if isinstance(bus := parts.get(Bus), NatsBus):
            await bus.start()
            stack.push_async_callback(bus.stop)
        for feature in FEATURES:
            for run in feature.runs:
                await stack.enter_async_context(loaded(run)(parts))
        if parts.has(MqttLink):
            await parts.get(MqttLink).start()
            stack.push_async_callback(parts.get(MqttLink).stop)
        parts.get(Stopping).on_stop(parts.get(Streams).end_all)
        stack.callback(parts.get(Streams).end_all)
        for thread in (parts.get(Sweeper), parts.get(Courier)):
            thread.start()
            stack.callback(thread.close)
        yield


def _problem_page(parts: Parts, request: Request, told: Problem) -> Response:
    return parts.get(Pages).html(request, "problem.html", status=told.status, problem=told)


async def _sign_in_or_problem(request: Request, fault: Exception) -> Response:
    if wants_html(request):
        return pages.to_sign_in(request)
    told = problem_of(fault)
    return Response(told.body(), told.status, dict(told.headers), "application/problem+json")
