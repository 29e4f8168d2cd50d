import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.hub import free_port

from waystation.kernel.buckets import Allowance, Rate
from waystation.kernel.limits import Limiter
from waystation.kernel.tests.redis_site import Redis, running_redis

SLOW = Rate(per_minute=1, burst=5)  # nothing flows in while a test runs


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with running_redis(tmp_path) as running:
        yield running


async def let_through(limiter: Limiter, count: int, who: str = "kitchen", rate: Rate = SLOW) -> int:
    """How many of so many calls at once may go on."""
    return sum([not one.wait for one in await taken(limiter, count, who, rate)])


async def taken(limiter: Limiter, count: int, who: str, rate: Rate) -> list[Allowance]:
    return await asyncio.gather(*(limiter.take_async(rate, "readings", who) for _ in range(count)))


def test_without_a_redis_each_process_has_its_own_buckets() -> None:
    async def both() -> list[int]:
        one, other = Limiter(), Limiter()
        return [await let_through(one, 9), await let_through(one, 9), await let_through(other, 9)]

    assert asyncio.run(both()) == [5, 0, 5]


@pytest.mark.servers
def test_processes_with_one_redis_draw_from_the_same_buckets__TH_5(redis: Redis) -> None:
    async def both() -> list[int]:
        one, other = Limiter(redis.url), Limiter(redis.url)
        together = await asyncio.gather(let_through(one, 40), let_through(other, 40), let_through(one, 40, "hall"))
        return [together[0] + together[1], together[2]]

    with capture_logs() as lines:
        assert asyncio.run(both()) == [5, 5]
    assert not lines


@pytest.mark.servers
def test_redis_says_the_same_of_a_bucket_as_the_process_would(redis: Redis) -> None:
    async def both() -> None:
        for limiter in (Limiter(redis.url), Limiter(now=lambda: 0)):
            told = await taken(limiter, 6, "kitchen", SLOW)
            assert [allowance.left for allowance in told] == [4, 3, 2, 1, 0, 0]
            assert [bool(allowance.wait) for allowance in told] == [False] * 5 + [True]
            assert 59 < told[-1].wait_seconds <= 60

    asyncio.run(both())


@pytest.mark.servers
def test_what_flows_into_a_bucket_in_redis_can_be_drawn_and_no_key_stays_for_ever(redis: Redis) -> None:
    async def drain() -> None:
        limiter, fast, slow = Limiter(redis.url), Rate(per_minute=60_000, burst=2), Rate(per_minute=60, burst=2)
        await let_through(limiter, 2, rate=fast)
        waits = [await limiter.take_async(fast, "readings", "kitchen") for _ in range(50)]
        assert any(not allowance.wait for allowance in waits)
        kept = limiter._windows.storage.storage  # type: ignore[union-attr]
        await limiter.take_async(slow, "readings", "cellar")
        assert 0 < kept.pttl("waystation:bucket:readings:cellar") <= 2000

    asyncio.run(drain())


@pytest.mark.servers
def test_a_redis_killed_in_the_middle_costs_no_call_and_is_said_once(redis: Redis) -> None:
    async def through_it() -> tuple[int, int, int]:
        limiter = Limiter(redis.url)
        before = await let_through(limiter, 9)
        under_way = [asyncio.create_task(let_through(limiter, 1, f"device {n}")) for n in range(500)]
        await asyncio.sleep(0)
        await asyncio.to_thread(redis.kill)
        during = sum(await asyncio.gather(*under_way))
        return before, during, await let_through(limiter, 9)

    with capture_logs() as lines:
        assert asyncio.run(through_it()) == (5, 500, 5)
    assert [line["event"] for line in lines] == ["Redis does not answer; each process limits by itself"]


@pytest.mark.servers
def test_a_redis_that_comes_back_is_shared_again(redis: Redis) -> None:
    async def away_and_back() -> None:
        limiter = Limiter(redis.url, away_seconds=0)
        redis.kill()
        assert await let_through(limiter, 9) == 5
        redis.start()
        async with asyncio.timeout(60):
            while limiter._together.take("look", SLOW) is None:  # type: ignore[union-attr]  # noqa: ASYNC110  it tells nobody
                await asyncio.sleep(0.01)
        assert await let_through(Limiter(redis.url), 9) == 5
        assert await let_through(limiter, 9) == 0

    with capture_logs() as lines:
        asyncio.run(away_and_back())
    assert [line["event"].partition(";")[0] for line in lines] == ["Redis does not answer", "Redis answers again"]


def test_while_redis_is_away_nobody_waits_for_it() -> None:
    async def ask() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            limiter = Limiter(f"redis://127.0.0.1:{silent.getsockname()[1]}")
            assert await let_through(limiter, 9) == 5
            assert limiter._together is not None
            assert all(limiter._together.take("kitchen", SLOW) is None for _ in range(100))

    with capture_logs() as lines:
        asyncio.run(ask())
    assert len(lines) == 1


def test_a_redis_that_is_not_there_yet_stops_nobody() -> None:
    limiter = Limiter(f"redis://127.0.0.1:{free_port()}")
    with capture_logs() as lines:
        assert asyncio.run(let_through(limiter, 9)) == 5
        assert asyncio.run(let_through(limiter, 9)) == 0  # another loop, as after a new start in one process
    assert [line["log_level"] for line in lines] == ["warning"]
