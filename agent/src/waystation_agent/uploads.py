"""Files on their way to the hub: queued on disk, and sent by whoever runs, the agent or the command line."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

from waystation_agent.caller import Caller, Later
from waystation_agent.delivery import ON_WITH_IT, UNPAIRED, Pause
from waystation_agent.errors import BadInput, Fault
from waystation_agent.folder import Folder, is_held, locked
from waystation_agent.journal import Journal, Upload
from waystation_agent.logs import LOG, facts
from waystation_agent.tus import Sender, Sent, digest

LOOK_SECONDS = 5.0
"""How often the agent looks for what the command line has queued."""
OTHERS_TURN = Pause(1.0)
SENT, REFUSED = "sent", "refused"
LONGEST_NAME = 255


def queue(
    journal: Journal,
    path: Path,
    name: str = "",
    *,
    key: str | None = None,
    is_ours: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Queue a file as it is now, and return its number. Raises BadInput for what is no file.

    All of it is read for its hash, which takes a while if it is large: `progress` hears how many bytes so far.
    """
    path, name = path.absolute(), name or path.name
    if not path.is_file():
        raise BadInput(f"{path} is not a file")
    if not name.isprintable() or len(name) > LONGEST_NAME:
        raise BadInput(f"a file's name at the hub is one line of at most {LONGEST_NAME} characters")
    found = path.stat()
    upload = Upload(
        0,
        path,
        name,
        found.st_size,
        found.st_mtime_ns,
        digest(path, progress),
        is_ours,
        Sent("", 0),
        ended="",
        reason="",
    )
    return journal.add_upload(upload, key)


class Uploads:
    """`queued` may be set to have a file that was just queued looked for at once."""

    def __init__(
        self,
        journal: Journal,
        caller: Caller,
        folder: Folder,
        *,
        queued: Event | None = None,
        is_by_hand: bool = False,
    ) -> None:
        self._journal = journal
        self._caller = caller
        self._sender = Sender(caller)
        self._folder = folder
        self._queued = queued or Event()
        self._is_by_hand = is_by_hand
        self._known: tuple[int, Sent] | None = None
        """Of which file the hub itself has said in this life where it stands, and where."""

    def close(self) -> None:
        self._caller.close()
        self._journal.close()

    def step(self) -> Pause:
        """Send the next piece of the oldest file, and return what to wait for before the next step."""
        self._queued.clear()
        if not self._caller.is_native:
            return UNPAIRED
        if self._journal.next_upload() is None:
            return Pause(LOOK_SECONDS)
        if not self._is_by_hand and is_held(self._folder.by_hand_lock):
            return OTHERS_TURN
        try:
            with locked(self._folder.uploads_lock, 0.0, "another program is sending"):
                return self._send(self._journal.next_upload())
        except Fault:
            return OTHERS_TURN
        except Later as later:
            return self._caller.pause(later)

    def _send(self, upload: Upload | None) -> Pause:
        if upload is None:
            return ON_WITH_IT
        try:
            self._see_unchanged(upload)
            if not upload.sent.where:
                self._note(upload, self._sender.create(upload.name, upload.size))
            elif upload.sent.offset >= upload.size:
                self._end(upload, SENT)
            elif (upload.number, upload.sent) != self._known:
                self._note(upload, self._sender.stand(upload.sent.where) or Sent("", 0))
            else:
                self._send_piece(upload)
        except BadInput as error:
            self._end(upload, REFUSED, str(error))
        except OSError as error:
            self._end(upload, REFUSED, f"{upload.path} cannot be read: {error.strerror}")
        return ON_WITH_IT

    def _send_piece(self, upload: Upload) -> None:
        """Whatever comes to nothing, the hub is asked where it stands before more is sent."""
        self._known = None
        sent = self._sender.send_piece(upload.path, upload.sent)
        if sent is None:
            raise Later("the hub did not take the next bytes")
        self._note(upload, sent)

    def _note(self, upload: Upload, sent: Sent) -> None:
        self._journal.put_sent(upload.number, sent)
        self._known = (upload.number, sent)

    def _see_unchanged(self, upload: Upload) -> None:
        found = upload.path.stat()
        if (found.st_size, found.st_mtime_ns) != (upload.size, upload.modified_ns):
            raise BadInput(f"{upload.path} was changed before all of it was sent; send it again")

    def _end(self, upload: Upload, ended: str, reason: str = "") -> None:
        self._journal.end_upload(upload.number, ended, reason)
        LOG.info("upload ended %s", facts(name=upload.name, bytes=upload.size, ended=ended, reason=reason or "-"))
        if upload.is_ours:
            with suppress(OSError):
                upload.path.unlink()


def wait_for(journal: Journal, number: int, seconds: float, is_ending: Callable[[], bool]) -> Upload:
    """Return an upload that has ended. Raises TimeoutError if it has not by then, BadInput if it was refused."""
    give_up_at = time.monotonic() + seconds
    while (upload := journal.upload(number)) is None or not upload.ended:
        if upload is None or is_ending() or time.monotonic() > give_up_at:
            raise TimeoutError
        time.sleep(0.1)
    if upload.ended == REFUSED:
        raise BadInput(upload.reason)
    return upload
