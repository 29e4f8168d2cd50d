"""States, links and steps of commands as people read them."""

from collections.abc import Mapping

from waystation.commands import Progress, State, What

STATES: Mapping[State, str] = {
    State.QUEUED: "Waiting",
    State.LEASED: "Delivered",
    State.RUNNING: "Running",
    State.DONE: "Done",
    State.FAILED: "Failed",
    State.REJECTED: "Rejected",
    State.EXPIRED: "Expired",
    State.CANCELLED: "Cancelled",
}
LOOKS: Mapping[State, str] = {
    State.DONE: "good",
    State.FAILED: "danger",
    State.REJECTED: "danger",
    State.EXPIRED: "danger",
}
STEPS: Mapping[What, str] = {
    What.QUEUED: "Queued",
    What.LEASED: "Handed to the device",
    What.RETURNED: "Back in the queue: nobody listened",
    What.LAPSED: "Back in the queue: no word came in time",
    What.RUNNING: "Begun",
    What.DONE: "Done",
    What.FAILED: "Failed",
    What.REJECTED: "Rejected by the device",
    What.EXPIRED: "Expired",
    What.CANCELLED: "Cancelled",
    What.LATE: "Word that came after the end",
}
LINKS = {"": "", "poll": "by polling", "mqtt": "over MQTT", "ws": "over a WebSocket", "websocket": "over a WebSocket"}
PARTS = (
    ("done", "done"),
    ("failed", "failed"),
    ("expired", "expired"),
    ("cancelled", "cancelled"),
    ("delivered", "delivered"),
    ("waiting", "waiting"),
    ("gone", "device deleted"),
)


def in_words(progress: Progress) -> str:
    """`3 done, 1 failed, 2 waiting`."""
    return ", ".join(f"{getattr(progress, name):,} {word}" for name, word in PARTS if getattr(progress, name))
