"""The whole wiring: which features there are, and the long-lived parts that a process is made of."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from waystation import __version__, dashboard, devices, homes, identity, telemetry, web
from waystation.dialects import thermostat
from waystation.kernel import outbox, pages, problems, server, status
from waystation.kernel.bus import Bus, LocalBus
from waystation.kernel.clock import Clock, SystemClock
from waystation.kernel.db import Database, Listener
from waystation.kernel.errors import Unauthenticated
from waystation.kernel.feature import Every, Feature
from waystation.kernel.hot import Hot
from waystation.kernel.jobs import Job, Sweeper
from waystation.kernel.limits import Limiter
from waystation.kernel.mqtt import Admitted, MqttLink
from waystation.kernel.nats_bus import NatsBus
from waystation.kernel.nats_keys import AccountKey
from waystation.kernel.nats_server import EmbeddedNats, NatsOptions
from waystation.kernel.outbox import Courier
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.problems import Problem
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings
from waystation.kernel.stopping import Stopping

FEATURES: Sequence[Feature] = (
    identity.feature,
    homes.feature,
    devices.feature,
    telemetry.feature,
    thermostat.feature,
    dashboard.feature,
)
PACKAGE = Path(__file__).parent
TEMPLATES = {name: PACKAGE / name / "templates" for name in ("identity", "dashboard")}
NAV = (("Devices", "/devices"), ("System", "/system"))


def build(settings: Settings) -> Hot:
    """The ASGI app of one process. Its database must be up to date (migrations.bring_up_to_date)."""
    parts = wire(settings)
    app = FastAPI(title="Waystation", version=__version__, docs_url=None, redoc_url=None, lifespan=_lifespan)
    app.state.parts = parts
    app.router.redirect_slashes = False
    problems.install(app, partial(_problem_page, parts))
    app.add_exception_handler(Unauthenticated, _sign_in_or_problem)
    for router in (status.router, *(router for feature in FEATURES for router in feature.routes)):
        app.include_router(router)
    app.mount(web.STATIC_URL, StaticFiles(directory=web.STATIC))
    return Hot(app, [route for feature in FEATURES for route in feature.hot], parts, settings.max_body_bytes)


def wire(settings: Settings) -> Parts:
    """Every long-lived part, made and not yet started."""
    keys, clock = KeyRing(settings.data / "keys"), SystemClock()
    listeners: dict[type, list[Listener]] = {}
    database = Database(settings.database, listeners=listeners)
    bus = NatsBus(partial(_nats_url, settings)) if settings.nats_url.get_secret_value() else LocalBus()
    gate, live = devices.Gate(database, clock), telemetry.Live(bus)
    told = [live.readings_stored]
    ingest = telemetry.Ingest(database, clock, settings, seen=devices.seen, told=told, slot=server.slot())
    sweeper = Sweeper(database, clock, [_job(database, clock, f, every) for f in FEATURES for every in f.jobs])
    courier = Courier(database, clock, {outbox.NOTICE: bus.publish}, may_send=lambda: sweeper.owns)
    _listen(listeners, gate, courier)

    parts = Parts(settings, keys, database, gate, live, ingest, sweeper, courier, Limiter(), Stopping())
    parts.put(Clock, clock)
    parts.put(Bus, bus)
    parts.put(Pages, Pages(web.environment(TEMPLATES), web.CONTENT_SECURITY_POLICY, NAV, clock))
    _wire_mqtt(settings, parts)
    return parts


def _listen(listeners: dict[type, list[Listener]], gate: devices.Gate, courier: Courier) -> None:
    for feature in FEATURES:
        for kind, listener in feature.listens.items():
            listeners.setdefault(kind, []).append(listener)
    listeners[devices.AccessChanged] = [lambda tx, told, _: tx.after_commit(partial(gate.drop, told.device_id))]
    listeners[outbox.Put] = [lambda tx, _told, _now: tx.after_commit(courier.nudge)]


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


def _job(database: Database, clock: Clock, feature: Feature, every: Every) -> Job:
    def work() -> int:
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
        if parts.has(EmbeddedNats):
            stack.push_async_callback(parts.get(EmbeddedNats).stop)
            await parts.get(EmbeddedNats).start()
        if isinstance(bus := parts.get(Bus), NatsBus):
            await bus.start()
            stack.push_async_callback(bus.stop)
        for feature in FEATURES:
            for run in feature.runs:
                await stack.enter_async_context(run(parts))
        if parts.has(MqttLink):
            await parts.get(MqttLink).start()
            stack.push_async_callback(parts.get(MqttLink).stop)
        for thread in (parts.get(Sweeper), parts.get(Courier)):
            thread.start()
            stack.callback(thread.close)
        yield


def _problem_page(parts: Parts, request: Request, told: Problem) -> str:
    rendered = parts.get(Pages).html(request, "problem.html", status=told.status, problem=told)
    return bytes(rendered.body).decode()


async def _sign_in_or_problem(request: Request, fault: Exception) -> Response:
    if pages.wants_html(request):
        return pages.to_sign_in(request)
    told = problems.problem_of(fault)
    return Response(told.body(), told.status, dict(told.headers), "application/problem+json")
