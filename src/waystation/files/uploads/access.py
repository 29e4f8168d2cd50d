"""Who uploads: a device that proves itself, or somebody of the home who may control devices."""

from typing import Annotated, get_args

from waystation import devices
from waystation.files.service import Sender
from waystation.homes import HomeUser
from waystation.kernel.audit import Actor
from waystation.kernel.calls import Call, Within
from waystation.kernel.errors import Refused, Unauthenticated

OF_DEVICES: Within = get_args(devices.TheDevice)[1]
OF_PEOPLE: Within = get_args(HomeUser)[1]


def _find(call: Call) -> Sender:
    """Both may come with `Bearer`: what no person's token is may be a device's key."""
    scheme = call.request.headers.get("authorization", "").partition(" ")[0].lower()
    if scheme == "device":
        return of_device(OF_DEVICES.find(call))
    try:
        member = OF_PEOPLE.find(call)
    except Unauthenticated as unknown:
        if scheme != "bearer":
            raise
        try:
            return of_device(OF_DEVICES.find(call))
        except (Unauthenticated, Refused):
            raise unknown from None
    return Sender(member.home_id, member.actor)


def of_device(device: devices.CallingDevice) -> Sender:
    return Sender(device.home_id, Actor(f"device:{device.key}", home_id=device.home_id), device.id, device.key)


Uploader = Annotated[Sender, Within(_find, who="device or user")]
