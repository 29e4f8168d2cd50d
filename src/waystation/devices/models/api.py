"""Models for programs: what each can be asked to do. Everybody of the home sees it, admins say it."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from waystation.devices.models import service, store
from waystation.devices.models.model import DeviceModel
from waystation.homes import HomeAdmin, HomeViewer
from waystation.kernel.routes import Now, Router, Tx

router = Router(tags=["devices"])


class Wish(BaseModel):
    """For each command its name and a JSON Schema (2020-12) of its parameters; `*` is any other command. Null is no
    schema, and then any command may be sent.
    """

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    command_schema: dict[str, Any] | None


@router.get("/api/models", summary="Models of the home's devices, with their command schemas")
def models(me: HomeViewer, tx: Tx) -> dict[str, list[dict[str, Any]]]:
    return {"models": [asdict(one) for one in store.all_of(tx, me.home_id)]}


@router.put("/api/models", summary="Say what a model's devices can be asked to do")
def put_model(wanted: Wish, me: HomeAdmin, tx: Tx, now: Now) -> dict[str, Any]:
    """Commands that it does not allow are refused from now on, with the reason. No references and no patterns."""
    if wanted.command_schema is None:
        service.forget(tx, me.actor, me.home_id, now, name=wanted.name)
        return asdict(DeviceModel(wanted.name, len(store.of_model(tx, me.home_id, wanted.name)), None))
    schema = wanted.command_schema
    return asdict(service.put(tx, me.actor, me.home_id, now, name=wanted.name, command_schema=schema))
