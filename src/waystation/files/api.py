"""Files for people's programs: list, look, download, delete. They arrive by waystation.files.uploads."""

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from waystation import devices
from waystation.files import service, shown, store
from waystation.files.model import File
from waystation.files.sniff import TEXT
from waystation.files.store import Wanted
from waystation.homes import HomeUser, HomeViewer
from waystation.kernel import sending
from waystation.kernel.blobs import Blobs
from waystation.kernel.routes import Now, Router, Tx, part

router = Router(tags=["files"])
Kept = Annotated[Blobs, part(Blobs)]
Limit = Annotated[int, Query(ge=1, le=500)]
PEOPLE = "people"


@router.get("/api/files", summary="Files of the home, newest first")
@router.get("/api/files/", include_in_schema=False)
def show_files(
    caller: HomeViewer,
    tx: Tx,
    device: str = "",
    name: str = "",
    words: str = "",
    before: int | None = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Of one `device` (its key; `people` for what people uploaded), of one `name` (which is its history), or with all
    of the `words` in the name. `next` is the `before` of the page after this.
    """
    wanted = wanted_of(tx, caller.home_id, device=device, name=name, words=words)
    found = store.newest(tx, wanted, before=before, most=limit + 1)
    number, total = store.count(tx, wanted)
    following = found[limit - 1].id if len(found) > limit else None
    return {"files": shown.facts(tx, found[:limit]), "next": following, "count": number, "total_bytes": total}


def wanted_of(tx: Tx, home_id: int, *, device: str = "", name: str = "", words: str = "") -> Wanted:
    if device == PEOPLE:
        return Wanted(home_id, from_people=True, name=name, words=words)
    return Wanted(home_id, devices.find(tx, home_id, device).id if device else None, name=name, words=words)


@router.get("/api/files/{file_id}", summary="What is known of a file")
@router.get("/api/files/{file_id}/", include_in_schema=False)
def show_file(caller: HomeViewer, tx: Tx, file_id: str) -> dict[str, Any]:
    return shown.facts(tx, [service.find(tx, caller.home_id, file_id)])[0]


@router.get("/api/files/{file_id}/history", summary="All files of this name from the same sender, newest first")
@router.get("/api/files/{file_id}/history/", include_in_schema=False)
def show_history(caller: HomeViewer, tx: Tx, file_id: str, limit: Limit = 50) -> dict[str, Any]:
    return {"files": shown.facts(tx, history(tx, service.find(tx, caller.home_id, file_id), most=limit))}


def history(tx: Tx, file: File, *, most: int) -> list[File]:
    wanted = Wanted(file.home_id, file.device_id, from_people=file.device_id is None, name=file.name)
    return store.newest(tx, wanted, most=most)


@router.get("/api/files/{file_id}/content", summary="The bytes of a file, resumable by Range")
@router.get("/api/files/{file_id}/content/", include_in_schema=False)
def download(caller: HomeViewer, tx: Tx, blobs: Kept, request: Request, file_id: str) -> Response:
    """With `ETag`, `If-None-Match`, `Range` (206, 416) and `If-Range`. Browsers save it and never show it."""
    file = service.find(tx, caller.home_id, file_id)
    kept = sending.Kept(blobs.open(file.sha256), file.size_bytes, file.sha256)
    return sending.answer(request.headers, kept, "application/octet-stream", shown.download_headers(file))


@router.get("/api/files/{file_id}/preview", summary="The begin of a text, or a picture, to be looked at")
@router.get("/api/files/{file_id}/preview/", include_in_schema=False)
def preview(caller: HomeViewer, tx: Tx, blobs: Kept, request: Request, file_id: str) -> Response:
    """By its content, whatever its name says; 409 for anything else. Nothing of it is run."""
    file = service.find(tx, caller.home_id, file_id)
    headers = shown.preview_headers(file)
    with blobs.open(file.sha256) as opened:
        if file.media_type == TEXT:
            text = opened.read(shown.PREVIEW_BYTES).decode(errors="ignore")
            return Response(text, headers=headers, media_type=shown.preview_type(file))
    kept = sending.Kept(blobs.open(file.sha256), file.size_bytes, file.sha256)
    return sending.answer(request.headers, kept, shown.preview_type(file), headers)


@router.delete("/api/files/{file_id}", summary="Delete a file")
@router.delete("/api/files/{file_id}/", include_in_schema=False)
def delete(caller: HomeUser, tx: Tx, now: Now, file_id: str) -> dict[str, str]:
    file = service.find(tx, caller.home_id, file_id)
    service.delete(tx, caller.actor, file, now)
    return {"deleted": file.uid}
