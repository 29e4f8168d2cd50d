"""A hub for all scenarios of a process, a client for each; and at the end the table of who passed what."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from firmware.conformance.client import Client
from firmware.conformance.clients import CLIENTS
from firmware.conformance.desk import Desk
from firmware.conformance.house import House
from firmware.conformance.link import Link
from tests.hub import Hub

NUMBERS = count(1)


@pytest.fixture(scope="session")
def standing_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One for all: each scenario has a device of its own on it."""
    hub = Hub(tmp_path_factory.mktemp("conformance") / "hub")
    hub.start()
    yield hub
    hub.kill_all()


@pytest.fixture(params=CLIENTS, ids=lambda kind: kind.name)
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    kind: type[Client] = request.param
    kind.prepare()
    made = kind(tmp_path / f"{kind.name}-{next(NUMBERS)}")
    yield made
    made.kill()


@pytest.fixture
def house(standing_hub: Hub, client: Client) -> Iterator[House]:
    link = Link(standing_hub.port)
    code = standing_hub.command("device", "claim", client.folder.name)["code"]
    yield House(standing_hub, client, link, Desk(standing_hub), code)
    client.kill()
    link.close()
