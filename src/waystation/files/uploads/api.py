"""Uploads over HTTP, by devices and by people: in one call, or resumable by tus 1.0 (docs/reference/device-api.md)."""

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Coroutine, Mapping
from email.utils import format_datetime
from typing import Any

from fastapi import Request
from starlette.responses import Response

from waystation.files.model import Upload
from waystation.files.receiving import Checksum, Receiving
from waystation.files.service import Sender
from waystation.files.uploads.access import Uploader
from waystation.kernel.errors import DomainError, Invalid
from waystation.kernel.parts import Parts
from waystation.kernel.problems import problem_of
from waystation.kernel.routes import CallerFirst, PartsOf, Router
from waystation.kernel.settings import Settings

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
ALGORITHMS = {"sha1": 20, "sha256": 32}  # the first is what the protocol asks of every server
NUMBER = re.compile(r"[0-9]{1,18}")
STREAM = "application/offset+octet-stream"
MOST_TOLD = 4096
PLACE = "/api/uploads"


class OtherVersion(DomainError):
    status, word = 412, "other_tus_version"


class WrongStream(DomainError):
    status, word = 415, "unsupported_media_type"


class Tus(CallerFirst):
    """Whatever the answer is, it names the protocol's version, as tus 1.0 wants."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def versioned(request: Request) -> Response:
            try:
                if request.method != "OPTIONS" and request.headers.get("tus-resumable", VERSION) != VERSION:
                    raise OtherVersion(f"this hub speaks tus {VERSION}")
                response = await answer(request)
            except DomainError as fault:
                told = problem_of(fault)
                response = Response(told.body(), told.status, dict(told.headers), "application/problem+json")
            response.headers["Tus-Resumable"] = VERSION
            if response.status_code == OtherVersion.status:
                response.headers["Tus-Version"] = VERSION
            return response

        return versioned


router = Router(tags=["files"])
tus = Router(tags=["files"], route_class=Tus)


@router.post("/api/uploads/whole", summary="Send a file in one call")
@router.post("/api/uploads/whole/", include_in_schema=False)
async def send_whole(
    sender: Uploader, parts: PartsOf, request: Request, name: str = "", sha256: str = ""
) -> dict[str, Any]:
    """The body is the file. With `sha256`, 64 hex digits, 409 for anything else, and nothing is kept."""
    if sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise Invalid("sha256 is 64 hexadecimal digits")
    _refuse_encoding(request)
    size = _length(request)
    kept = await parts.get(Receiving).whole(sender, name, request.stream(), size_bytes=size, sha256=sha256)
    return kept.shown()


@tus.api_route(PLACE, methods=["OPTIONS"], summary="What of tus 1.0 is understood here")
async def ask(sender: Uploader, parts: PartsOf) -> Response:
    del sender
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(parts.get(Settings).max_file_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }
    return Response(status_code=204, headers=headers)


@tus.post(PLACE, status_code=201, summary="Begin a resumable upload (tus 1.0)")
@tus.post(f"{PLACE}/", include_in_schema=False)
async def begin(sender: Uploader, parts: PartsOf, request: Request) -> Response:
    """`Upload-Length`, and the name in `Upload-Metadata: filename <base64>`; the body may hold the first bytes."""
    _refuse_encoding(request)
    told = request.headers.get("upload-metadata", "")
    name = _name_in(told)
    size = _number(request, "upload-length", "say how long the file is, in bytes, in Upload-Length")
    receiving = parts.get(Receiving)
    holds_bytes = request.headers.get("content-type", "").partition(";")[0].strip() == STREAM
    checksum = _checksum(request) if holds_bytes else None
    upload = await asyncio.to_thread(receiving.begin, sender, name, size, told)
    if holds_bytes and upload.file_uid is None:
        upload = await receiving.go_on(
            sender, upload, 0, request.stream(), size_bytes=_length(request), checksum=checksum
        )
    return Response(status_code=201, headers={"Location": f"{PLACE}/{upload.uid}", **_progress(upload)})


@tus.head(f"{PLACE}/{{upload_id}}", summary="How far an upload has come")
async def look(sender: Uploader, parts: PartsOf, upload_id: str) -> Response:
    upload = await asyncio.to_thread(parts.get(Receiving).find, sender, upload_id)
    told = {"Upload-Metadata": upload.told} if upload.told else {}
    length = {"Upload-Length": str(upload.size_bytes), "Cache-Control": "no-store"}
    return Response(status_code=200, headers={**_progress(upload), **length, **told})


@tus.patch(f"{PLACE}/{{upload_id}}", status_code=204, summary="Go on with an upload at its offset")
async def go_on(sender: Uploader, parts: PartsOf, request: Request, upload_id: str) -> Response:
    """Every byte that the answer's `Upload-Offset` counts is on the disk."""
    return await _go_on(sender, parts, request, upload_id)


@tus.delete(f"{PLACE}/{{upload_id}}", status_code=204, summary="Give an upload up")
async def give_up(sender: Uploader, parts: PartsOf, upload_id: str) -> Response:
    """A file that it has become already stays."""
    await asyncio.to_thread(parts.get(Receiving).give_up, sender, upload_id)
    return Response(status_code=204)


@tus.post(f"{PLACE}/{{upload_id}}", include_in_schema=False)
async def instead(sender: Uploader, parts: PartsOf, request: Request, upload_id: str) -> Response:
    """For clients that can neither PATCH nor DELETE: `X-HTTP-Method-Override`, as tus 1.0 has it."""
    await asyncio.to_thread(parts.get(Receiving).find, sender, upload_id)
    wanted = request.headers.get("x-http-method-override", "").upper()
    if wanted == "PATCH":
        return await _go_on(sender, parts, request, upload_id)
    if wanted != "DELETE":
        raise Invalid("say PATCH or DELETE in X-HTTP-Method-Override, or send the method itself")
    await asyncio.to_thread(parts.get(Receiving).give_up, sender, upload_id)
    return Response(status_code=204)


async def _go_on(sender: Sender, parts: Parts, request: Request, upload_id: str) -> Response:
    upload = await asyncio.to_thread(parts.get(Receiving).find, sender, upload_id)
    if request.headers.get("content-type", "").partition(";")[0].strip() != STREAM:
        raise WrongStream(f"the next part of an upload has the Content-Type {STREAM}")
    _refuse_encoding(request)
    offset = _number(request, "upload-offset", "say where this part begins, in Upload-Offset")
    size, checksum = _length(request), _checksum(request)
    upload = await parts.get(Receiving).go_on(
        sender, upload, offset, request.stream(), size_bytes=size, checksum=checksum
    )
    return Response(status_code=204, headers=_progress(upload))


def _progress(upload: Upload) -> Mapping[str, str]:
    """`X-File` is the id of the file that it has become."""
    headers = {
        "Upload-Offset": str(upload.offset_bytes),
        "Upload-Expires": format_datetime(upload.ends_at, usegmt=True),
    }
    return headers if upload.file_uid is None else {**headers, "X-File": upload.file_uid}


def _name_in(told: str) -> str:
    """`filename <base64>` among comma-separated pairs; "unnamed" when there is none."""
    if len(told) > MOST_TOLD or not told.isascii():
        raise Invalid(f"Upload-Metadata has up to {MOST_TOLD:,} ASCII characters")
    pairs = {key: value.strip() for key, _, value in (pair.strip().partition(" ") for pair in told.split(","))}
    found = pairs.get("filename", pairs.get("name"))
    try:
        return "unnamed" if found is None else base64.b64decode(found, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Invalid("the file's name in Upload-Metadata is base64 of UTF-8") from None


def _checksum(request: Request) -> Checksum | None:
    told = request.headers.get("upload-checksum")
    if told is None:
        return None
    algorithm, _, digest = told.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise Invalid(f"Upload-Checksum may be {' or '.join(ALGORITHMS)}")
    try:
        found = base64.b64decode(digest.strip(), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != ALGORITHMS[algorithm]:
        raise Invalid(f"Upload-Checksum is {algorithm} and the base64 of {ALGORITHMS[algorithm]} bytes")
    return Checksum(algorithm, found)


def _number(request: Request, header: str, wanted: str) -> int:
    told = request.headers.get(header, "")
    if not NUMBER.fullmatch(told):
        raise Invalid(wanted)
    return int(told)


def _length(request: Request) -> int | None:
    told = request.headers.get("content-length", "")
    return int(told) if NUMBER.fullmatch(told) else None


def _refuse_encoding(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Invalid("a file is sent as it is, without Content-Encoding")
