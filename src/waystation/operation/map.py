"""`waystation map`: what this program answers and to whom, what it does by itself, and who listens to what."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from waystation import app, web
from waystation.kernel import status
from waystation.kernel.db import Database, Listeners
from waystation.kernel.feature import Feature, loaded
from waystation.kernel.hot import Hot
from waystation.kernel.routes import who_may_call
from waystation.kernel.settings import Settings

PUBLIC = "public"
WEBSOCKET = "WS"
TOLD = re.compile(r"\.tell\((?:\w+\.)*([A-Z]\w*)\(")
STATIC = f"{web.STATIC_URL.rsplit('/', 1)[0]}/…"  # its last part is a hash that changes with every file


@dataclass(frozen=True, slots=True)
class Door:
    """A method and path that is answered, and who is let in: words of the caller types, `device`, or `public`.

    The method of a WebSocket is `WS`. `nobody` is a method that is refused on purpose, where a contract says how.
    """

    feature: str
    method: str
    path: str
    who: str
    is_hot: bool = False


@dataclass(frozen=True, slots=True)
class Sweep:
    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    told_by: tuple[str, ...]
    heard_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteMap:
    routes: Sequence[Door]
    jobs: Sequence[Sweep]
    events: Sequence[Event]


def built(make: Callable[[Hot], Any]) -> Any:
    """What `make` finds in the program as it is wired for an owner who has set nothing; nothing of it is started."""
    with TemporaryDirectory() as folder:
        hot = app.build(Settings.model_validate({"data": folder}))
        try:
            return make(hot)
        finally:
            hot.parts.get(Database).close()


def survey() -> SiteMap:
    listeners: Listeners = built(lambda hot: hot.parts.get(Database).listeners)
    return site_map(app.FEATURES, listeners, told_in(app.PACKAGE))


def site_map(features: Sequence[Feature], listeners: Listeners, told: Mapping[str, Sequence[str]]) -> SiteMap:
    """`told` says by the name of an event which modules tell it."""
    return SiteMap(
        (*_of_the_kernel(), *(door for feature in features for door in doors(feature))),
        [Sweep(f"{f.name}.{every.sweep.__name__}", every.seconds) for f in features for every in f.jobs],
        _events(listeners, told),
    )


def _of_the_kernel() -> list[Door]:
    """The status routes, and what the web framework serves of itself."""
    own = [Door("kernel", "GET", "/openapi.json", PUBLIC), Door("web", "GET", STATIC, PUBLIC)]
    return [*_routes("kernel", status.router.routes), *own]


def doors(feature: Feature) -> list[Door]:
    """A path with and one without a slash at its end, alike otherwise, are one door."""
    hot = [Door(feature.name, route.method, route.path.rstrip("/"), route.who, is_hot=True) for route in feature.hot]
    return hot + [door for router in feature.routes for door in _routes(feature.name, loaded(router).routes)]


def _routes(feature: str, routes: Iterable[Any]) -> list[Door]:
    found: dict[Door, None] = {}
    for route in routes:
        who = who_may_call(route.endpoint) or PUBLIC
        for method in sorted(getattr(route, "methods", {WEBSOCKET}) - {"HEAD"}):
            found[Door(feature, method, route.path.rstrip("/") or "/", who)] = None
    return list(found)


def _events(listeners: Listeners, told: Mapping[str, Sequence[str]]) -> list[Event]:
    heard = {_name(kind): tuple(_place(listener) for listener in found) for kind, found in listeners.items()}
    bare = {name.rpartition(".")[2] for name in heard}
    unheard = {name: () for name in told if name not in bare}
    return [
        Event(name, tuple(told.get(name.rpartition(".")[2], ())), by)
        for name, by in sorted({**heard, **unheard}.items())
    ]


def _name(kind: type) -> str:
    """`devices.DeviceDeleted`."""
    words = kind.__module__.split(".")
    return f"{words[-1] if words[1:2] == ['kernel'] else words[1]}.{kind.__name__}"


def _place(listener: Any) -> str:
    """Where a listener is written; one without a name of its own is told by its module."""
    listener = getattr(listener, "func", listener)  # of a partial, what is called
    module = str(listener.__module__).removeprefix("waystation.")
    return module if "<" in listener.__qualname__ else f"{module}.{listener.__qualname__}"


def told_in(package: Path) -> dict[str, list[str]]:
    """The modules whose text tells an event, by the event's name."""
    found: dict[str, list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        if "tests" in path.parts:
            continue
        module = ".".join(path.relative_to(package).with_suffix("").parts)
        for name in sorted(set(TOLD.findall(path.read_text(encoding="utf-8")))):
            found.setdefault(name, []).append(module)
    return found


def facts(shown: SiteMap) -> dict[str, Any]:
    """For machines."""
    return asdict(shown)


def text(shown: SiteMap) -> str:
    """For people, and for the checked-in snapshot."""
    return "\n".join([*_route_lines(shown.routes), *_job_lines(shown.jobs), *_event_lines(shown.events)]) + "\n"


def _route_lines(routes: Sequence[Door]) -> Iterable[str]:
    yield "ROUTES: method, path, who may call; * is served in front of the web framework"
    width = max(len(door.path) for door in routes) + 2
    for feature in dict.fromkeys(door.feature for door in routes):
        yield f"\n{feature}"
        for door in sorted((d for d in routes if d.feature == feature), key=lambda d: (d.path, d.method)):
            yield f"  {door.method:7} {door.path:{width}} {door.who}{' *' if door.is_hot else ''}"


def _job_lines(jobs: Sequence[Sweep]) -> Iterable[str]:
    yield "\nJOBS: period, sweep\n"
    for job in sorted(jobs, key=lambda job: job.name):
        yield f"  every {job.seconds:>5g} s   {job.name}"


def _event_lines(events: Sequence[Event]) -> Iterable[str]:
    yield "\nEVENTS: told by → heard by, inside one transaction\n"
    for event in events:
        yield f"  {event.name}"
        yield f"      {', '.join(event.told_by) or 'nobody'} → {', '.join(event.heard_by) or 'nobody yet'}"
