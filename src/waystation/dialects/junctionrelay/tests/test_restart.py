"""Clients that renew while the real program is stopped, killed and started again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from tests.hub import Hub
from tests.servers import StartHub

pytestmark = pytest.mark.servers

MOST_SECONDS = 30
ENOUGH = 10  # with two rotations among them


@dataclass
class Renewer:
    """Renews over and over, one connection a call as the real clients do, and tries again for 30 s when it fails."""

    client: httpx2.AsyncClient
    url: str
    said_id: str
    refresh_token: str
    is_over: asyncio.Event
    has_renewed: asyncio.Event = field(default_factory=asyncio.Event)
    failed_for_good: list[str] = field(default_factory=list[str])
    refused: list[int] = field(default_factory=list[int])
    renewed: int = 0
    cut: int = 0

    async def run(self) -> None:
        number = 0
        while not self.is_over.is_set():
            number += 1
            said = await self._insist("refresh-rotate" if number % 5 == 0 else "refresh")
            self.refresh_token = said.get("refreshToken", self.refresh_token)
            self.renewed += bool(said)
            await asyncio.sleep(0.02)  # leaves the processor to the program that starts
            if self.renewed % ENOUGH == 0:
                self.has_renewed.set()

    async def _insist(self, call: str) -> dict[str, Any]:
        body = {"RefreshToken": self.refresh_token, "DeviceId": self.said_id}
        try:
            async with asyncio.timeout(MOST_SECONDS):
                while True:
                    try:
                        answer = await self.client.post(f"{self.url}/cloud/devices/{call}", json=body)
                    except httpx2.TransportError:
                        self.cut += 1
                        await asyncio.sleep(0.05)  # as a client that tries again does
                        continue
                    if answer.status_code == 200:
                        return answer.json()
                    self.refused.append(answer.status_code)
        except TimeoutError:
            self.failed_for_good.append(call)
            return {}


def registered(hub: Hub, number: int) -> tuple[str, str]:
    _, made = hub.post("/cloud/devices/generate-registration-token", {"approved": True}, f"Bearer {hub.token}")
    said_id = f"02:FC:00:00:00:{number:02X}"
    body = {"registrationToken": made["registrationToken"], "actualDeviceId": said_id, "deviceName": f"Pi {number}"}
    status, told = hub.post("/cloud/devices/register", body, "")
    assert status == 200
    return said_id, told["refreshToken"]


async def lives(program: Hub, *ends: Callable[[], object]) -> list[Renewer]:
    """Four devices that renew all the time, while the program's lives end and begin."""
    devices = await asyncio.to_thread(lambda: [registered(program, number) for number in range(4)])
    is_over = asyncio.Event()
    one_call_each = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(timeout=MOST_SECONDS, limits=one_call_each) as client:
        renewers = [Renewer(client, program.url, *device, is_over) for device in devices]
        tasks = [asyncio.create_task(renewer.run()) for renewer in renewers]
        for end in ends:
            await asyncio.to_thread(end)
            for renewer in renewers:
                renewer.has_renewed.clear()
            async with asyncio.timeout(MOST_SECONDS):
                await asyncio.gather(*(renewer.has_renewed.wait() for renewer in renewers))
        is_over.set()
        await asyncio.gather(*tasks)
    return renewers


@pytest.mark.parametrize("end", [Hub.stop, Hub.kill], ids=["stopped", "killed"])
def test_a_client_that_tries_again_within_30_s_lives_through_restarts__JR_10__JR_13(
    hub: StartHub, end: Callable[[Hub], object]
) -> None:
    program = hub()

    def again() -> None:
        end(program)
        program.start()

    for renewer in asyncio.run(lives(program, again, again)):
        assert renewer.failed_for_good == []
        assert renewer.refused == []
        assert renewer.refresh_token


def test_a_client_that_never_tries_again_lives_through_an_owners_restart__JR_10(hub: StartHub) -> None:
    """The sockets go on listening: who calls meanwhile waits for an answer, and gets it."""
    program = hub()
    for renewer in asyncio.run(lives(program, program.restart, program.restart)):
        assert (renewer.cut, renewer.refused, renewer.failed_for_good) == (0, [], [])
        assert renewer.renewed > ENOUGH
