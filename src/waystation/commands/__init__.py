"""Ask devices to do things, and know whether they did."""

from waystation.commands import hot, jobs, model, service, wire
from waystation.commands.delivery import Delivery
from waystation.commands.events import CommandFinished, CommandMoved, CommandQueued
from waystation.commands.model import (
    MOST_WAITING,
    ONCE_ONLY,
    OPEN,
    Command,
    Event,
    NewCommand,
    Outcome,
    State,
    What,
)
from waystation.commands.notices import on_the_bus
from waystation.commands.past import Past, remember
from waystation.commands.sending import (
    Progress,
    Targets,
    cancel_batch,
    find_batch,
    meant,
    progress,
    retry,
    retry_batch,
    send,
    send_to_many,
)
from waystation.commands.service import Settled, cancel, find, finish, of_device, settle, take, waiting
from waystation.commands.socket import Sockets
from waystation.commands.store import Batch, Wanted, batches, by_number, count_in, events, names_of, newest, open_of
from waystation.commands.waiting import Waiting
from waystation.devices import DeviceDeleted
from waystation.kernel.feature import Every, Feature, HotRoute

feature = Feature(
    name="commands",
    routes=("waystation.commands.api:router",),
    hot=(
        HotRoute("GET", "/api/commands/next", hot.next_command, who="device", answer=wire.NEXT),
        HotRoute("POST", "/api/commands/outcome", hot.post_outcome, who="device", body=wire.BODY, answer=wire.ANSWER),
    ),
    jobs=(Every(1, jobs.lapse), Every(3600, jobs.forget, takes_parts=True)),
    listens={DeviceDeleted: service.forget_device},
    runs=("waystation.commands.edges:deliver", "waystation.commands.edges:deliver_over_mqtt"),
)

__all__ = [
    "MOST_WAITING",
    "ONCE_ONLY",
    "OPEN",
    "Batch",
    "Command",
    "CommandFinished",
    "CommandMoved",
    "CommandQueued",
    "Delivery",
    "Event",
    "NewCommand",
    "Outcome",
    "Past",
    "Progress",
    "Settled",
    "Sockets",
    "State",
    "Targets",
    "Waiting",
    "Wanted",
    "What",
    "batches",
    "by_number",
    "cancel",
    "cancel_batch",
    "count_in",
    "events",
    "feature",
    "find",
    "find_batch",
    "finish",
    "meant",
    "model",
    "names_of",
    "newest",
    "of_device",
    "on_the_bus",
    "open_of",
    "progress",
    "remember",
    "retry",
    "retry_batch",
    "send",
    "send_to_many",
    "settle",
    "take",
    "waiting",
]
