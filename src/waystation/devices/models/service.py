"""Say what a model's devices can be asked to do, and hold what is asked against it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from waystation.devices.model import check_model
from waystation.devices.models import store
from waystation.devices.models.model import DeviceModel, check_command_schema, check_parameters
from waystation.kernel import audit
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid, NotFound


def put(tx: Tx, by: Actor, home_id: int, now: datetime, *, name: str, command_schema: Any) -> DeviceModel:
    """The model with this schema, whether or not it had one; it counts for what is sent from now on."""
    name = check_model(name)
    if not name:
        raise Invalid("a model has a name")
    store.put(tx, home_id, name, check_command_schema(command_schema))
    audit.note(tx, by, "set a command schema", f"model:{name}", now=now)
    return find(tx, home_id, name)


def forget(tx: Tx, by: Actor, home_id: int, now: datetime, *, name: str) -> None:
    """Takes the schema away, so that any command may be sent. NotFound when there is none."""
    if not store.remove(tx, home_id, name):
        raise NotFound("this model has no command schema")
    audit.note(tx, by, "removed a command schema", f"model:{name}", now=now)


def find(tx: Tx, home_id: int, name: str) -> DeviceModel:
    found = next((one for one in store.all_of(tx, home_id) if one.name == name), None)
    if found is None:
        raise NotFound("there is no model of that name here")
    return found


def check(tx: Tx, home_id: int, models: Sequence[str], *, name: str, parameters: Any) -> None:
    """Invalid unless every one of these models that has a schema allows the command."""
    for model, schema in store.schemas(tx, home_id, models).items():
        check_parameters(schema, model, name=name, parameters=parameters)
