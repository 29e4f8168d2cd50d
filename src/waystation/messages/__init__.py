"""Lines that devices wrote."""

from waystation.devices import DeviceDeleted
from waystation.kernel.feature import Every, Feature, HotRoute
from waystation.messages import edges, hot, jobs, service
from waystation.messages.events import Logged, MessageWritten
from waystation.messages.intake import Intake
from waystation.messages.live import announce
from waystation.messages.model import Message, NewMessage, Severity, on_one_line, severity_of, visible
from waystation.messages.service import newest, of_device, write, write_one
from waystation.messages.store import count_of

feature = Feature(
    name="messages",
    hot=(HotRoute("POST", "/api/messages", hot.post_messages, who="device", body=hot.BODY, answer=hot.ANSWER),),
    routes=("waystation.messages.api:router", "waystation.messages.pages:router"),
    jobs=(Every(60, jobs.forget, takes_parts=True),),
    listens={DeviceDeleted: service.forget_device},
    runs=(edges.take_lines,),
)

__all__ = [
    "Intake",
    "Logged",
    "Message",
    "MessageWritten",
    "NewMessage",
    "Severity",
    "announce",
    "count_of",
    "feature",
    "newest",
    "of_device",
    "on_one_line",
    "severity_of",
    "visible",
    "write",
    "write_one",
]
