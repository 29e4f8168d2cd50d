"""The thermostat's contract: posts of its firmware, and the history that its scripts and pages read."""

from waystation.dialects.thermostat import api, hot
from waystation.kernel.feature import Feature, HotRoute

NOT_POST = ("GET", "HEAD", "PUT", "PATCH", "DELETE")

feature = Feature(
    name="thermostat",
    hot=(
        HotRoute("POST", hot.PATH, hot.ingest, who="device"),
        *(HotRoute(method, hot.PATH, hot.only_post, who="nobody") for method in NOT_POST),
    ),
    routes=(api.router,),
)

__all__ = ["feature"]
