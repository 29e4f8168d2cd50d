"""Things with an identity in a home: registry, credentials, claiming and presence."""

from waystation.devices import ending, health, jobs, keypair, letters, models, registration, renewal, tags
from waystation.devices.calling import TheDevice, calling_device, for_devices, stranger
from waystation.devices.chosen.service import end_tokens, is_live_token, keep_token
from waystation.devices.chosen.store import called, name_of, names_of, newest_change
from waystation.devices.completion import device_keys
from waystation.devices.events import AccessChanged, CredentialStolen, DeviceDeleted
from waystation.devices.gate import Gate
from waystation.devices.guesses import Guesses
from waystation.devices.health import Alert, Step, Wish
from waystation.devices.keys import ids_of, keys_of
from waystation.devices.model import CallingDevice, Credential, CredentialKind, Device, NewClaim, Provisioned
from waystation.devices.models import of_model
from waystation.devices.registration import Introduction, Offer, Wanted, adopt, release
from waystation.devices.renewal import Lifetimes, Pair, Presented
from waystation.devices.service import (
    delete,
    delete_all,
    disable,
    enable,
    find,
    find_any,
    new_credential,
    offer_claim,
    register,
    rename,
    revoke,
    rotate,
)
from waystation.devices.store import (
    by_external_id,
    by_id,
    by_key,
    by_serial,
    count,
    count_seen,
    credentials,
    external_ids,
    last_seen,
    open_registrations,
    pending,
    placed,
    relays,
    search,
    seen,
)
from waystation.devices.tags import by_tag, tag, untag
from waystation.homes import HomeDeleted
from waystation.kernel.feature import Every, Feature

feature = Feature(
    name="devices",
    routes=(
        "waystation.devices.api:router",
        "waystation.devices.tags.api:router",
        "waystation.devices.models.api:router",
    ),
    jobs=(
        Every(3600, jobs.forget_claims),
        Every(3600, jobs.forget_registrations),
        Every(3600, jobs.forget_credentials),
        Every(3600, ending.warn_of_ending_keys),
    ),
    listens={CredentialStolen: letters.tell_of_theft, HomeDeleted: delete_all},
    runs=("waystation.devices.edges:watch_access",),
)

__all__ = [
    "AccessChanged",
    "Alert",
    "CallingDevice",
    "Credential",
    "CredentialKind",
    "CredentialStolen",
    "Device",
    "DeviceDeleted",
    "Gate",
    "Guesses",
    "Introduction",
    "Lifetimes",
    "NewClaim",
    "Offer",
    "Pair",
    "Presented",
    "Provisioned",
    "Step",
    "TheDevice",
    "Wanted",
    "Wish",
    "adopt",
    "by_external_id",
    "by_id",
    "by_key",
    "by_serial",
    "by_tag",
    "called",
    "calling_device",
    "count",
    "count_seen",
    "credentials",
    "delete",
    "device_keys",
    "disable",
    "enable",
    "end_tokens",
    "ending",
    "external_ids",
    "feature",
    "find",
    "find_any",
    "for_devices",
    "health",
    "ids_of",
    "is_live_token",
    "keep_token",
    "keypair",
    "keys_of",
    "last_seen",
    "models",
    "name_of",
    "names_of",
    "new_credential",
    "newest_change",
    "of_model",
    "offer_claim",
    "open_registrations",
    "pending",
    "placed",
    "register",
    "registration",
    "relays",
    "release",
    "rename",
    "renewal",
    "revoke",
    "rotate",
    "search",
    "seen",
    "stranger",
    "tag",
    "tags",
    "untag",
]
