"""Files as people see them: with the device's name, as an answer of JSON, as a download and as a preview."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from waystation import devices
from waystation.files.model import File
from waystation.files.sniff import TEXT, is_picture
from waystation.kernel.clock import iso
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict

PREVIEW_BYTES = 65_536
NEVER_RUN = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
}
"""Whatever somebody uploaded, a browser shows it and runs nothing of it."""


def facts(tx: Tx, files: Sequence[File]) -> list[dict[str, Any]]:
    placed = devices.placed(tx, {file.device_id for file in files if file.device_id is not None})
    found: list[dict[str, Any]] = []
    for file in files:
        device = placed.get(file.device_id) if file.device_id is not None else None
        from_ = None if device is None else {"key": device.key, "name": device.name}
        more = {"media_type": file.media_type, "at": iso(file.at), "by": file.by, "device": from_}
        found.append({**file.shown(), **more})
    return found


def download_headers(file: File) -> Mapping[str, str]:
    return {**NEVER_RUN, "Content-Disposition": disposition("attachment", file.name)}


def preview_headers(file: File) -> Mapping[str, str]:
    """Conflict for what is neither text nor a picture by its content."""
    if not has_preview(file):
        raise Conflict("only text and pictures can be shown here; download the file to see it")
    return {**NEVER_RUN, "Content-Disposition": disposition("inline", file.name)}


def preview_type(file: File) -> str:
    return "text/plain; charset=utf-8" if file.media_type == TEXT else file.media_type


def has_preview(file: File) -> bool:
    return file.media_type == TEXT or is_picture(file.media_type)


def disposition(how: str, name: str) -> str:
    """RFC 6266: the name in ASCII for old clients, and as it is."""
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\%;' else "_" for letter in name)
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
