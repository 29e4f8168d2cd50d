"""Things with an identity in a home: registry, credentials, claiming and presence."""

from waystation.devices import api, cli, edges, jobs
from waystation.devices.events import AccessChanged, DeviceDeleted
from waystation.devices.gate import Gate
from waystation.devices.model import CallingDevice, Credential, Device, NewClaim, Provisioned
from waystation.devices.service import (
    delete,
    disable,
    enable,
    find,
    new_api_key,
    offer_claim,
    register,
    rename,
    revoke,
)
from waystation.devices.store import by_key, by_serial, count, credentials, external_ids, search, seen
from waystation.kernel.feature import Every, Feature

feature = Feature(
    name="devices",
    routes=(api.router,),
    jobs=(Every(3600, jobs.forget_claims),),
    runs=(edges.watch_access,),
    cli=cli.app,
)

__all__ = [
    "AccessChanged",
    "CallingDevice",
    "Credential",
    "Device",
    "DeviceDeleted",
    "Gate",
    "NewClaim",
    "Provisioned",
    "by_key",
    "by_serial",
    "count",
    "credentials",
    "delete",
    "disable",
    "enable",
    "external_ids",
    "feature",
    "find",
    "new_api_key",
    "offer_claim",
    "register",
    "rename",
    "revoke",
    "search",
    "seen",
]
