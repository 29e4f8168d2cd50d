"""`waystation-agent upload` on the command line: sent as one watches; the running agent goes on if one ends it."""

import argparse
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

from waystation_agent import identity
from waystation_agent.caller import Caller
from waystation_agent.errors import Fault
from waystation_agent.folder import Folder, locked
from waystation_agent.identity import Identity, IdentityFile
from waystation_agent.journal import Journal, Upload
from waystation_agent.timekeeper import MachineTicks, Timekeeper
from waystation_agent.uploads import REFUSED, Uploads, queue

WIDTH = 30
DRAW_SECONDS = 0.1
PATIENCE_SECONDS = 60.0
STILL_THERE = "it stays queued, and the running agent sends it"


class Bar:
    """A line that is drawn over and over on a terminal; elsewhere there is none."""

    def __init__(self, out: TextIO, what: str, size: int) -> None:
        self._out = out if out.isatty() else None
        self._what = what
        self._size = size
        self._began_at = self._drawn_at = time.monotonic()
        self._began: int | None = None

    def show(self, done: int) -> None:
        now = time.monotonic()
        began = self._began = done if self._began is None else self._began
        if self._out is None or (done < self._size and now - self._drawn_at < DRAW_SECONDS):
            return
        self._drawn_at = now
        share = done / self._size if self._size else 1.0
        rate = (done - began) / max(now - self._began_at, 0.001)
        filled = "#" * round(share * WIDTH)
        line = f"{self._what} [{filled:<{WIDTH}}] {share:4.0%}  {sized(done)} of {sized(self._size)}, {sized(rate)}/s"
        self._out.write(f"\r{line}\x1b[K")
        self._out.flush()

    def end(self) -> None:
        if self._out:
            self._out.write("\r\x1b[K")
            self._out.flush()


def sized(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1_000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_024
    return f"{count:.1f} GiB"


def run(chosen: argparse.Namespace) -> int:
    folder: Folder = chosen.data
    if not isinstance(identity.load(folder.identity).identity, Identity):
        raise Fault("files go to a Waystation hub, and this machine is not paired with one")
    waiting = locked(folder.by_hand_lock, PATIENCE_SECONDS, "another `upload` is at work; try again when it has ended")
    with waiting, closing(Journal(folder.journal)) as journal:
        path = Path(chosen.file).expanduser()
        size = path.stat().st_size if path.is_file() else 0
        reading = Bar(sys.stderr, "reading", size)
        number = queue(journal, path, chosen.name or "", progress=reading.show)
        reading.end()
        try:
            sent = _send(folder, journal, number)
        except KeyboardInterrupt:
            raise Fault(STILL_THERE) from None
    if sent.ended == REFUSED:
        raise Fault(f"the hub did not take {sent.name}: {sent.reason}")
    sys.stdout.write(f"Sent {sent.name} ({sized(sent.size)}, SHA-256 {sent.sha256}).\n")
    return 0


def _send(folder: Folder, journal: Journal, number: int) -> Upload:
    """Send it, after those that were queued before, until it has arrived or is refused."""
    caller = Caller("files", IdentityFile(folder.identity), Timekeeper(MachineTicks()))
    uploads = Uploads(Journal(folder.journal), caller, folder, is_by_hand=True)
    bar: Bar | None = None
    try:
        while (upload := journal.upload(number)) and not upload.ended:
            bar = bar or Bar(sys.stderr, "sending", upload.size)
            bar.show(upload.sent.offset)
            time.sleep(min(uploads.step().seconds, 1.0))
    finally:
        if bar:
            bar.end()
        uploads.close()
    if upload is None:
        raise Fault("the queue was changed by somebody else")
    return upload


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("upload", parents=[common], help="send a file to the hub")
    parser.add_argument("file", metavar="FILE", help="any size; it must stay as it is until it is sent")
    parser.add_argument("--name", help="what to call it there (default: the file's own name)")
    parser.set_defaults(command=run, log_level="warning")  # the bar tells the rest
