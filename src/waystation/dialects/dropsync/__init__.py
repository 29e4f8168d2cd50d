"""DropSync's contract: ESP8266 and ESP32 nodes that poll a hub for commands, report to it and exchange files."""

from waystation.commands import CommandFinished, CommandMoved, CommandQueued
from waystation.dialects.dropsync import hot, journal
from waystation.dialects.dropsync.asked import Way, device_call
from waystation.dialects.dropsync.edge import DEVICE_TOKEN
from waystation.files import FileDeleted, FileStored
from waystation.kernel.feature import Every, Feature, HotEndpoint, HotRoute
from waystation.messages import MessageWritten

HERE = "waystation.dialects.dropsync"
V1, OLD = Way(4), Way(1, is_legacy=True)
POLL, OLD_POLL = Way(4, is_poll=True), Way(1, is_legacy=True, is_poll=True)
DEVICE, FILES = "/api/v1/device", "/api/v1/files"


def _get(path: str, endpoint: HotEndpoint) -> HotRoute:
    return HotRoute("GET", path, endpoint, who=DEVICE_TOKEN)


def _post(path: str, endpoint: HotEndpoint) -> HotRoute:
    return HotRoute("POST", path, endpoint, who=DEVICE_TOKEN)


feature = Feature(
    name="dropsync",
    hot=(
        _get(f"{DEVICE}/ping/{{device_id}}", device_call(hot.ping, hot.nothing, V1)),
        _get(f"{DEVICE}/commands/{{device_id}}", device_call(hot.poll, hot.nothing, POLL)),
        _post(f"{DEVICE}/commands/{{device_id}}/complete", device_call(hot.complete, hot.completion, V1)),
        _post(f"{DEVICE}/messages/{{device_id}}", device_call(hot.log, hot.message, V1)),
        _get(f"{DEVICE}/status/{{device_id}}", device_call(hot.status, hot.nothing, V1)),
        _post(f"{DEVICE}/heartbeat/{{device_id}}", device_call(hot.heartbeat, hot.beat, Way(4, is_beat=True))),
        _get(f"{FILES}/list/{{device_id}}", device_call(hot.list_files, hot.nothing, V1)),
        _get(f"{FILES}/sync-history/{{device_id}}", device_call(hot.sync_history, hot.history_limit, V1)),
        _get("/message/{device_id}", device_call(hot.legacy_poll, hot.nothing, OLD_POLL)),
        _post("/message", device_call(hot.legacy_log, hot.legacy_message, Way(None, is_legacy=True))),
        _get("/check-files/{device_id}", device_call(hot.check_files, hot.nothing, OLD)),
    ),
    routes=(
        f"{HERE}.front.api:router",
        f"{HERE}.admin.api:router",
        f"{HERE}.admin.packages.api:router",
        f"{HERE}.exchange.api:router",
        f"{HERE}.legacy.api:router",
    ),
    jobs=(Every(3600, journal.forget),),
    listens={
        CommandQueued: journal.check_queued,
        CommandMoved: journal.command_moved,
        CommandFinished: journal.command_finished,
        MessageWritten: journal.message_written,
        FileStored: journal.file_stored,
        FileDeleted: journal.file_deleted,
    },
    runs=(f"{HERE}.pulse:keep_pulse", f"{HERE}.tokenfile:follow", f"{HERE}.starting:announce"),
)

__all__ = ["feature"]
