"""Readings: in over any edge, durable before they are acknowledged, out as history, last values and live."""

from waystation.devices import DeviceDeleted
from waystation.kernel.feature import Every, Feature, HotRoute
from waystation.telemetry import api, edges, follow, hot, jobs, query, seal
from waystation.telemetry.api import Stream as LiveStream
from waystation.telemetry.edges import show_readings, take_readings
from waystation.telemetry.history import api as history_api
from waystation.telemetry.ingest import Fault, Ingest, Queued, Receipt
from waystation.telemetry.keeping import warnings
from waystation.telemetry.keeping.model import POST_BYTES, RANGE_PHRASE, Plan, QuotaReached
from waystation.telemetry.keeping.quota import Plans, Quota
from waystation.telemetry.keeping.sweeps import counting, deletion, orphans, retention
from waystation.telemetry.last import LastValue, last_values
from waystation.telemetry.live import Follower, Live
from waystation.telemetry.model import EARLIEST, LATEST, Kind, Sample, Series, Value, at_of, first_from, last_until
from waystation.telemetry.query import newest
from waystation.telemetry.store import Extent, extent, series_of
from waystation.telemetry.throttle import Throttle
from waystation.telemetry.transfer import api as transfer_api
from waystation.telemetry.transfer import backfill, fetch
from waystation.telemetry.transfer import orders as exports
from waystation.telemetry.transfer.jobs import forget_exports
from waystation.telemetry.transfer.reader import rows_between

feature = Feature(
    name="telemetry",
    hot=(HotRoute("POST", "/api/readings", hot.post_readings, who="device", body=hot.BODY, answer=hot.ANSWER),),
    routes=(
        api.router,
        history_api.router,
        "waystation.telemetry.history.pages:router",
        transfer_api.router,
        "waystation.telemetry.grafana.api:router",
        "waystation.telemetry.keeping.api:router",
        "waystation.telemetry.keeping.pages:router",
        "waystation.telemetry.keeping.actions:router",
    ),
    jobs=(
        Every(5, seal.seal, own_transactions=True),
        Every(1, deletion.delete, own_transactions=True),
        Every(60, orphans.clear, own_transactions=True),
        Every(60, retention.expire, own_transactions=True),
        Every(15, counting.count, own_transactions=True),
        Every(3600, counting.forget_old),
        Every(60, warnings.warn),
        Every(3600, forget_exports),
    ),
    listens={DeviceDeleted: jobs.forget_device},
    short=("/api/history", "/api/last-values"),
    runs=(edges.take_readings, edges.show_readings, fetch.keep_exports),
)

__all__ = [
    "EARLIEST",
    "LATEST",
    "POST_BYTES",
    "RANGE_PHRASE",
    "Extent",
    "Fault",
    "Follower",
    "Ingest",
    "Kind",
    "LastValue",
    "Live",
    "LiveStream",
    "Plan",
    "Plans",
    "Queued",
    "Quota",
    "QuotaReached",
    "Receipt",
    "Sample",
    "Series",
    "Throttle",
    "Value",
    "at_of",
    "backfill",
    "exports",
    "extent",
    "feature",
    "first_from",
    "follow",
    "history_api",
    "last_until",
    "last_values",
    "newest",
    "query",
    "rows_between",
    "series_of",
    "show_readings",
    "take_readings",
]
