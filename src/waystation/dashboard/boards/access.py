"""Who comes with a link to a dashboard: nobody that we know, and the secret in the address is the proof."""

from dataclasses import dataclass
from typing import Annotated

from waystation.dashboard.boards import links, store
from waystation.dashboard.boards.model import Board, Link
from waystation.kernel.calls import Call, Within
from waystation.kernel.limits import Limiter

LOOKS = "600/minute"  # a page of sixty charts that is opened, zoomed and opened again stays below it


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that opens a dashboard now."""

    link: Link
    board: Board


def _opened(call: Call) -> Opened:
    call.parts.get(Limiter).limit(LOOKS, "look through links", call.ip or "")
    link, board = links.look(call.tx, call.request.path_params["secret"], call.now)
    if links.is_stale(link, call.now):
        with call.writing() as tx:
            store.touch_link(tx, link.id, call.now)
    return Opened(link, board)


ByLink = Annotated[Opened, Within(_opened)]
