"""The old hub's uploads become files of their devices, with the same bytes under their hash."""

import json
import secrets
from pathlib import Path

from waystation import devices, files
from waystation.dialects.dropsync import model, store
from waystation.dialects.dropsync.importing import source
from waystation.dialects.dropsync.importing.report import Report
from waystation.dialects.dropsync.importing.source import Upload
from waystation.dialects.dropsync.model import KIND
from waystation.files import Content, Sender
from waystation.kernel import blob_rows
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.blobs import PIECE_BYTES, Drafts, LocalBlobs
from waystation.kernel.desk import Desk
from waystation.kernel.errors import Invalid
from waystation.kernel.secrets import digest

BLOBS = "blobs"
NO_DEVICE = "its device was not brought in"


class Shelves:
    """Where the files of a hub at this desk are."""

    def __init__(self, at: Desk, report: Report) -> None:
        folder = at.settings.data / BLOBS
        self._at = at
        self._report = report
        self._blobs = LocalBlobs(folder)
        self._drafts = Drafts(folder / "drafts", at.settings.min_free_bytes)

    def bring(self, folder: Path) -> None:
        for upload in source.uploads_in(folder):
            which = f"{upload.device}/{upload.path.name}"
            try:
                self._report.count("files", is_new=self._brought(upload))
            except (Invalid, OSError) as fault:
                self._report.skip("files", which, str(fault))

    def _brought(self, upload: Upload) -> bool:
        """False when the same file was brought in before."""
        name, size = model.file_name(upload.path.name), upload.path.stat().st_size
        if size > model.MOST_FILE_BYTES:
            raise Invalid(f"it is larger than {model.MOST_FILE_BYTES} bytes")
        content = self._content(upload.path)
        mark = digest(json.dumps([upload.device, name, content.sha256]))
        at = self._at
        with at.database.write() as tx:
            device = devices.by_external_id(tx, at.home_id, KIND, upload.device)
            if device is None:
                raise Invalid(NO_DEVICE)
            if not store.note_import(tx, at.home_id, "file", mark):
                return False
            sender = Sender(at.home_id, COMMAND_LINE, device.id, device.key)
            files.keep(tx, sender, at.now(), name=name, content=content)
            return True

    def _content(self, path: Path) -> Content:
        """Its bytes are durable when this returns; if nobody needs them, a sweep takes them away."""
        with path.open("rb") as given, self._drafts.open(f"whole-{secrets.token_hex(8)}", new=True) as draft:
            try:
                while piece := given.read(PIECE_BYTES):
                    draft.append(piece)
                sha256 = blob_rows.keep(self._at.database, self._blobs, draft, self._at.now())
                return Content(sha256, draft.size, files.media_type(draft.head(files.HEAD_BYTES)))
            finally:
                draft.discard()
