"""JunctionRelay's contract: devices that register with a pasted line and renew their own tokens for years."""

from collections.abc import Mapping
from typing import Any

from waystation.dialects.junctionrelay import api, hot, jobs
from waystation.dialects.junctionrelay.wire import PREFIXES
from waystation.kernel.feature import Every, Feature, HotEndpoint, HotRoute

PUBLIC = "public"  # the token in the body is the proof, so there is no caller to be named
TEXT = {"type": "string"}


def _object(*names: str) -> Mapping[str, Any]:
    return {"type": "object", "required": list(names), "properties": dict.fromkeys(names, TEXT)}


RENEWAL = _object("RefreshToken", "DeviceId")
REGISTERED = _object("deviceJwt", "refreshToken", "expiresAt", "refreshTokenExpiresAt")
ROTATED = _object("token", "expiresAt", "refreshToken", "refreshTokenExpiresAt")
CALLS: Mapping[str, tuple[HotEndpoint, str, Mapping[str, Any], Mapping[str, Any]]] = {
    "register": (hot.register, PUBLIC, _object("registrationToken", "actualDeviceId", "deviceName"), REGISTERED),
    "register-and-exchange": (hot.register_and_exchange, PUBLIC, _object("registrationToken", "deviceId"), REGISTERED),
    "refresh": (hot.refresh, PUBLIC, RENEWAL, _object("token", "expiresAt")),
    "refresh-rotate": (hot.rotate, PUBLIC, RENEWAL, ROTATED),
    "health": (
        hot.health,
        "device with access token",
        {"type": "object", "properties": {"Status": TEXT, "SensorData": {}}},
        _object(),
    ),
}

feature = Feature(
    name="junctionrelay",
    hot=[
        HotRoute("POST", f"{prefix}/{call}", endpoint, who=who, body=body, answer=answer)
        for prefix in PREFIXES
        for call, (endpoint, who, body, answer) in CALLS.items()
    ],
    routes=(api.router,),
    jobs=(Every(30, jobs.watch_health, own_transactions=True),),
)

__all__ = ["feature"]
