"""Rules on readings and on silence, the incidents in which they held, and the notices that people get."""

from waystation.alerts import channels, service
from waystation.alerts.model import Condition, Incident, Rule, Schedule, Scope, Severity, When, Window, Wish
from waystation.alerts.notice import Line, Notice, notify
from waystation.alerts.store import Wanted as Incidents
from waystation.alerts.store import count_open, incidents
from waystation.devices import DeviceDeleted
from waystation.kernel.feature import Every, Feature

feature = Feature(
    name="alerts",
    routes=(
        "waystation.alerts.api:router",
        "waystation.alerts.channels.api:router",
        "waystation.alerts.pages:router",
        "waystation.alerts.actions:router",
    ),
    jobs=(Every(3600, channels.forget_deliveries), Every(3600, service.forget_incidents)),
    listens={DeviceDeleted: service.forget_device},
    runs=("waystation.alerts.edges:watch_readings",),
)

__all__ = [
    "Condition",
    "Incident",
    "Incidents",
    "Line",
    "Notice",
    "Rule",
    "Schedule",
    "Scope",
    "Severity",
    "When",
    "Window",
    "Wish",
    "channels",
    "count_open",
    "feature",
    "incidents",
    "notify",
    "service",
]
