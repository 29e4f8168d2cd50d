"""Unmodified clients for eight days: they never need a person."""

from typing import Any

import pytest

from waystation.dialects.junctionrelay.tests.clients import VARIANTS, Client, Variant
from waystation.dialects.junctionrelay.tests.conftest import AtRelay
from waystation.dialects.junctionrelay.tests.relay import MAC, Relay

pytestmark = pytest.mark.servers  # eight days at a time

DAY = 86_400


def connected(site: Relay, variant: Variant, **options: Any) -> Client:
    async def post(path: str, body: dict[str, Any], bearer: str | None) -> tuple[int, Any]:
        headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
        answer = await site.house.client.post(path, json=body, headers=headers)
        assert len(answer.content) <= 1024
        return answer.status_code, answer.json()

    def now() -> float:
        return site.now.timestamp()

    return Client(variant, post, now, MAC, **options)


async def live(site: Relay, client: Client, seconds: float) -> None:
    end = site.now.timestamp() + seconds
    while (left := end - site.now.timestamp()) > 0:
        await client.tick()
        site.turn(min(left, client.seconds_to_next()))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_eight_days_of_every_client_take_one_registration_and_no_401__JR_1__JR_8__JR_9(
    at_relay: AtRelay, variant: Variant
) -> None:
    async def test(site: Relay) -> None:
        client = connected(site, variant, health_seconds=7200)
        await client.paste(site.offer().line)
        await live(site, client, 8 * DAY)
        assert client.wiped == 0
        assert {told for told in client.told if not told.endswith(" 200")} == set()
        assert client.told["register 200"] == 1
        assert client.told["refresh-rotate 200"] == 1
        assert 190 <= client.told["refresh 200"] <= 192
        assert len(site.found()) == 1

    at_relay(test)


@pytest.mark.parametrize("variant", VARIANTS[:1] + VARIANTS[-1:], ids=lambda variant: variant.name)
def test_test_mode_renews_in_minutes_and_rotates_every_seventeen__JR_25(at_relay: AtRelay, variant: Variant) -> None:
    async def test(site: Relay) -> None:
        client = connected(site, variant, is_testing=True, health_seconds=200)
        await client.paste(site.offer(is_on_trial=True).line)
        await live(site, client, 3 * 3600)
        assert client.wiped == 0
        assert {told for told in client.told if not told.endswith(" 200")} == set()
        assert 9 <= client.told["refresh-rotate 200"] <= 11
        assert client.told["register 200"] == 1

    at_relay(test)


def test_a_client_in_test_mode_against_production_lifetimes_is_harmless__JR_25(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        client = connected(site, VARIANTS[0], is_testing=True)
        await client.paste(site.offer().line)
        await live(site, client, 3600)
        assert client.wiped == 0
        assert {told for told in client.told if not told.endswith(" 200")} == set()

    at_relay(test)


@pytest.mark.servers
def test_eight_days_with_a_report_a_minute__JR_1__JR_16(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        client = connected(site, VARIANTS[0])
        await client.paste(site.offer().line)
        await live(site, client, 8 * DAY)
        assert client.wiped == 0
        assert {told for told in client.told if not told.endswith(" 200")} == set()
        assert 11_200 <= client.told["health 200"] <= 11_400
        assert 190 <= client.told["refresh 200"] <= 192
        assert client.told["refresh-rotate 200"] == 1

    at_relay(test)
