"""What the forms on the pages of files do."""

from fastapi import Depends
from starlette.responses import Response

from waystation.files import service
from waystation.homes import HomeUser
from waystation.kernel.pages import go, read_form
from waystation.kernel.routes import Now, Router, Tx

router = Router(include_in_schema=False, dependencies=[Depends(read_form)])


@router.post("/files/{file_id}/delete")
def delete(file_id: str, me: HomeUser, tx: Tx, now: Now) -> Response:
    service.delete(tx, me.actor, service.find(tx, me.home_id, file_id), now)
    return go("/files?done=deleted")
