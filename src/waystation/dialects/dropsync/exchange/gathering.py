"""A form with any number of files, each streamed to the disk as bytes without a file: a package's members (DS-17)."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from fastapi import Request
from starlette.requests import ClientDisconnect

from waystation.dialects.dropsync import model, wire
from waystation.dialects.dropsync.exchange.receiving import BrokenOff, Form
from waystation.dialects.dropsync.exchange.uploads import limited
from waystation.files.packages import Member
from waystation.kernel import blob_rows
from waystation.kernel.blobs import Blobs, Draft, Drafts
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import Conflict, TooLarge
from waystation.kernel.parts import Parts

MOST_FILES = 200
DRAFT = "whole-"
"""Nobody goes on with such a draft: one that a crash left is swept."""


@dataclass(slots=True)
class Came:
    fields: dict[str, str]
    members: list[Member] = field(default_factory=list[Member])


async def gathered(request: Request, parts: Parts) -> Came:
    """Bytes of an ending that fails are swept, because nothing refers to them."""
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        return Came(wire.parse_form(await _small_body(request)))
    form = Form(content_type, request.stream())
    came = Came(form.fields)
    try:
        while (given := await form.next_file()) is not None:
            if len(came.members) >= MOST_FILES:
                raise TooLarge(f"a package gets at most {MOST_FILES} files in one call")
            came.members.append(await _kept(parts, model.file_name(given), limited(form.file())))
    except ClientDisconnect as gone:
        raise BrokenOff("the upload broke off") from gone
    if len({member.name for member in came.members}) < len(came.members):
        raise Conflict("two files of this package have the same name")
    return came


async def _kept(parts: Parts, name: str, pieces: AsyncIterator[bytes]) -> Member:
    with ExitStack() as stack:
        opened = parts.get(Drafts).open(f"{DRAFT}{secrets.token_hex(8)}", new=True)
        draft: Draft = await asyncio.to_thread(stack.enter_context, opened)
        stack.callback(draft.discard)
        async for piece in pieces:
            await asyncio.to_thread(draft.append, piece)
        now = parts.get(Clock).now()
        sha256 = await asyncio.to_thread(blob_rows.keep, parts.get(Database), parts.get(Blobs), draft, now)
        return Member(name, draft.size, sha256)


async def _small_body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > wire.MOST_FORM_BYTES:
            raise TooLarge(f"a form has at most {wire.MOST_FORM_BYTES} bytes here")
    return body
