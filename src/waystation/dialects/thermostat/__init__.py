"""The thermostat's contract: posts of its firmware, people's accounts and keys, and the history that scripts read."""

from waystation.dialects.thermostat import hot, repeats, wire
from waystation.kernel.feature import NOBODY, Every, Feature, HotRoute

HERE = "waystation.dialects.thermostat"
NOT_POST = ("GET", "HEAD", "PUT", "PATCH", "DELETE")

feature = Feature(
    name="thermostat",
    hot=(
        HotRoute("POST", hot.PATH, hot.ingest, who="device", body=wire.BODY, answer=wire.ANSWER),
        *(HotRoute(method, hot.PATH, hot.only_post, who=NOBODY) for method in NOT_POST),
        HotRoute("POST", hot.PATH_WITHOUT_PROOF, hot.too_old, who=NOBODY),
    ),
    routes=(
        f"{HERE}.api:router",
        f"{HERE}.history.api:router",
        f"{HERE}.fleet.api:router",
        f"{HERE}.accounts.api:by_body",
        f"{HERE}.accounts.api:by_session",
        f"{HERE}.accounts.pages:router",
        f"{HERE}.board.pages:router",
        f"{HERE}.board.actions:router",
    ),
    jobs=(Every(3600, repeats.forget_posts),),
    runs=(f"{HERE}.legacy:announce", f"{HERE}.oddities:keep_oddities"),
)

__all__ = ["feature"]
