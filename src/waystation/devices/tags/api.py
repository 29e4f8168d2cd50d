"""Tags for programs: everybody of the home sees them, admins give and take them."""

from waystation.devices.service import find
from waystation.devices.tags import service, store
from waystation.homes import HomeAdmin, HomeViewer
from waystation.kernel.routes import Now, Router, Tx

router = Router(tags=["devices"])


@router.get("/api/tags", summary="Tags of the home, with how many devices have each")
def tags(me: HomeViewer, tx: Tx) -> dict[str, dict[str, int]]:
    return {"tags": store.tags_of_home(tx, me.home_id)}


@router.get("/api/devices/{key}/tags", summary="A device's tags")
def tags_of_device(key: str, me: HomeViewer, tx: Tx) -> dict[str, list[str]]:
    return {"tags": store.tags_of(tx, find(tx, me.home_id, key).id)}


@router.put("/api/devices/{key}/tags/{tag}", summary="Give a device a tag")
def tag_device(key: str, tag: str, me: HomeAdmin, tx: Tx, now: Now) -> dict[str, list[str]]:
    return {"tags": service.tag(tx, me.actor, find(tx, me.home_id, key), now, tag=tag)}


@router.delete("/api/devices/{key}/tags/{tag}", summary="Take a tag from a device")
def untag_device(key: str, tag: str, me: HomeAdmin, tx: Tx, now: Now) -> dict[str, list[str]]:
    return {"tags": service.untag(tx, me.actor, find(tx, me.home_id, key), now, tag=tag)}
