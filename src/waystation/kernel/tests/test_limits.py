import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.hub import free_port

from waystation.kernel.errors import Invalid, TooMany
from waystation.kernel.limits import Limiter
from waystation.kernel.tests.redis_site import running_redis

RULE = "2/minute"


def tries(limiter: Limiter, count: int, who: str = "ann") -> list[bool]:
    """Which of so many tries were let through."""
    return [is_let_through(limiter, who) for _ in range(count)]


def is_let_through(limiter: Limiter, who: str) -> bool:
    try:
        limiter.limit(RULE, "sign in", who)
    except TooMany:
        return False
    return True


def test_a_try_beyond_the_limit_is_refused_with_the_time_to_wait__G_16() -> None:
    limiter = Limiter()
    assert tries(limiter, 2) == [True, True]
    with pytest.raises(TooMany) as refused:
        limiter.limit(RULE, "sign in", "ann")
    assert refused.value.retry_after_seconds is not None
    assert 1 <= refused.value.retry_after_seconds <= 60
    assert "sign in" in refused.value.sentence


def test_nobody_uses_up_another_ones_tries__G_16() -> None:
    limiter = Limiter()
    assert tries(limiter, 3, "ann") == [True, True, False]
    assert tries(limiter, 1, "bob") == [True]
    limiter.limit(RULE, "claim", "ann")


def test_the_event_loop_counts_the_same_tries() -> None:
    limiter = Limiter()
    assert tries(limiter, 2) == [True, True]
    with pytest.raises(TooMany):
        asyncio.run(limiter.limit_async(RULE, "sign in", "ann"))


@pytest.mark.parametrize("url", ["redis://127.0.0.1:not-a-port", "http://127.0.0.1"])
def test_what_is_no_address_of_a_redis_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(Invalid, match="REDIS_URL"):
        Limiter(url)


def test_without_its_redis_a_process_counts_by_itself_and_says_so_once() -> None:
    limiter = Limiter(f"redis://127.0.0.1:{free_port()}")
    with capture_logs() as lines:
        assert tries(limiter, 4) == [True, True, False, False]
    assert [line["log_level"] for line in lines] == ["warning"]


def test_a_redis_that_does_not_answer_is_asked_once_and_then_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limiter = Limiter(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        assert tries(limiter, 4) == [True, True, False, False]
        silent.setblocking(False)
        for _ in range(2):  # the first call and its one repetition
            silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_of_many_that_wait_for_a_silent_redis_one_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, capture_logs() as lines:
        limiter = Limiter(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        with ThreadPoolExecutor(8) as threads:
            let_through = list(threads.map(lambda _: is_let_through(limiter, "ann"), range(8)))
    assert sum(let_through) == 2
    assert [line["log_level"] for line in lines] == ["warning"]


@pytest.mark.servers
def test_processes_with_one_redis_count_together__G_16(tmp_path: Path) -> None:
    with running_redis(tmp_path) as redis:
        one, other = Limiter(redis.url), Limiter(redis.url)
        assert [is_let_through(limiter, "ann") for limiter in (one, other, one, other)] == [True, True, False, False]
        with pytest.raises(TooMany) as refused:
            asyncio.run(one.limit_async(RULE, "sign in", "ann"))
    assert refused.value.retry_after_seconds is not None
    assert 1 <= refused.value.retry_after_seconds <= 60


@pytest.mark.servers
def test_a_redis_that_comes_back_is_used_again(tmp_path: Path) -> None:
    with running_redis(tmp_path) as redis:
        redis.kill()
        limiter = Limiter(redis.url, away_seconds=0)
        assert tries(limiter, 3, "ann") == [True, True, False]
        redis.start()
        assert tries(limiter, 3, "ann") == [True, True, False]  # it knows nothing of those before
        redis.kill()
        assert tries(limiter, 1, "ann") == [False]
        redis.start()
        assert tries(limiter, 1, "ann") == [True]
