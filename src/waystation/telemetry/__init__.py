"""Readings: in over any edge, durable before they are acknowledged, out as history, last values and live."""

from waystation.devices import DeviceDeleted
from waystation.kernel.feature import Every, Feature, HotRoute
from waystation.telemetry import api, edges, hot, jobs, seal
from waystation.telemetry.edges import show_readings, take_readings
from waystation.telemetry.hot import calling_device
from waystation.telemetry.ingest import Fault, Ingest, Receipt
from waystation.telemetry.live import Live
from waystation.telemetry.model import EARLIEST, LATEST, Kind, Sample, Series, at_of, first_from, last_until
from waystation.telemetry.query import LastValue, last_values, newest
from waystation.telemetry.store import Extent, extent, series_of

feature = Feature(
    name="telemetry",
    hot=(HotRoute("POST", "/api/readings", hot.post_readings, who="device"),),
    routes=(api.router,),
    jobs=(Every(5, seal.seal, own_transactions=True),),
    listens={DeviceDeleted: jobs.forget_device},
    runs=(edges.take_readings, edges.show_readings),
)

__all__ = [
    "EARLIEST",
    "LATEST",
    "Extent",
    "Fault",
    "Ingest",
    "Kind",
    "LastValue",
    "Live",
    "Receipt",
    "Sample",
    "Series",
    "at_of",
    "calling_device",
    "extent",
    "feature",
    "first_from",
    "last_until",
    "last_values",
    "newest",
    "series_of",
    "show_readings",
    "take_readings",
]
