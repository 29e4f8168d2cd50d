"""Answers the NATS server's question who may connect as a device, and to which subjects."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from nats.aio.msg import Msg

from waystation.kernel.errors import DomainError
from waystation.kernel.nats_keys import AccountKey, claims_of
from waystation.kernel.nats_session import Line

log = structlog.get_logger(__name__)

ACCOUNT = "WAYSTATION"
QUESTIONS = "$SYS.REQ.USER.AUTH"
RESERVED_CLIENT_IDS = "d-"
MOST_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Admitted:
    """A device that may connect, by whichever of its names it logged in."""

    key: str


Admit = Callable[[str, str], Awaitable[Admitted | None]]
"""(user, password) -> the device, or None. A DomainError refuses too; its sentence goes to the log only."""


class Callout:
    """Every process answers; a queue group gives each question to one of them."""

    def __init__(self, key: AccountKey, admit: Admit) -> None:
        self._key = key
        self._admit = admit
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._answering: set[asyncio.Task[None]] = set()

    async def open(self, line: Line) -> None:
        """From here on devices can connect through this process; nobody can before."""
        await line.subscribe(QUESTIONS, queue="waystation", cb=self._ask)

    async def _ask(self, question: Msg) -> None:
        """Does not wait for the answer: one slow look-up must not hold up the devices behind it."""
        await self._turns.acquire()
        task = asyncio.create_task(self._answer(question))
        self._answering.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        self._turns.release()
        if not task.cancelled() and (fault := task.exception()):
            log.warning("an MQTT log-in got no answer", fault=repr(fault))

    async def _answer(self, question: Msg) -> None:
        asked = claims_of(question.data)["nats"]
        admitted = await self._decide(asked)
        await question.respond(self._key.signed(answer(self._key, asked, admitted)).encode())

    async def _decide(self, asked: dict[str, Any]) -> Admitted | None:
        login, whence = asked["connect_opts"], asked["client_info"]
        user, client_id = str(login.get("user", "")), str(whence.get("mqtt_id", ""))
        try:
            admitted = await self._admit(user, str(login.get("pass", "")))
        except DomainError as refused:
            log.info("MQTT log-in refused", user=user[:64], client_ip=whence.get("host"), reason=refused.word)
            return None
        if admitted is None or not _may_use(client_id, admitted.key):
            reason = "unknown" if admitted is None else "client id of another device"
            log.info("MQTT log-in refused", user=user[:64], client_ip=whence.get("host"), reason=reason)
            return None
        return admitted


def _may_use(client_id: str, key: str) -> bool:
    """Whoever brings a client id takes over its session. So ids that begin `d-` are kept for the device they name."""
    own = RESERVED_CLIENT_IDS + key
    return not client_id.startswith(RESERVED_CLIENT_IDS) or client_id == own or client_id.startswith(f"{own}-")


def answer(key: AccountKey, asked: dict[str, Any], admitted: Admitted | None) -> dict[str, Any]:
    """The claims of an authorization response (NATS ADR-26)."""
    verdict: dict[str, Any] = {"type": "authorization_response", "version": 2}
    if admitted is None:
        verdict["error"] = "unknown device or wrong key"
    else:
        verdict["jwt"] = key.signed(_user(asked["user_nkey"], admitted.key))
    return {"sub": asked["user_nkey"], "aud": asked["server_id"]["id"], "nats": verdict}


def _user(user_nkey: str, key: str) -> dict[str, Any]:
    """What a device may do. At `$MQTT.sub.>` the server delivers QoS 1 to it; `name` is what CONNZ finds it by."""
    permissions = {
        "pub": {"allow": [f"d.{key}.up.>"]},
        "sub": {"allow": [f"d.{key}.down", f"d.{key}.down.>", "$MQTT.sub.>"]},
        "allowed_connection_types": ["MQTT"],
        "subs": 32,
        "data": -1,
        "payload": -1,
    }
    return {"sub": user_nkey, "name": key, "aud": ACCOUNT, "nats": {"type": "user", "version": 2, **permissions}}
