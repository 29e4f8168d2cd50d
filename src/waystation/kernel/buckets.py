"""Token buckets: a burst at once, then so many a minute. One number a key, decided in a microsecond."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MINUTE = 60_000_000  # times here are microseconds
SECOND = 1_000_000
MOST_KEYS = 100_000

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_minute` for long, and `burst` at once after a pause."""

    per_minute: int
    burst: int
    step: int = field(init=False)
    room: int = field(init=False)
    policy: Header = field(init=False)

    def __post_init__(self) -> None:
        if self.per_minute < 1 or self.burst < 1:
            raise ValueError("a rate lets at least one through")
        step = -(-MINUTE // self.per_minute)
        room = step * self.burst
        policy = b'"device";q=%d;w=%d' % (self.burst, max(1, room // SECOND))
        for name, value in (("step", step), ("room", room), ("policy", (b"ratelimit-policy", policy))):
            object.__setattr__(self, name, value)


class Allowance(NamedTuple):
    """What one call got: `wait` is 0 when it may go on, else the time until it may. The bucket is full in `full_in`."""

    rate: Rate
    full_in: int
    wait: int

    @property
    def left(self) -> int:
        return (self.rate.room - self.full_in) // self.rate.step

    @property
    def wait_seconds(self) -> float:
        return self.wait / SECOND

    @property
    def headers(self) -> tuple[Header, Header]:
        """Of draft-ietf-httpapi-ratelimit-headers-11. Within `t` seconds there are no more than `r` calls."""
        left = self.left
        one_more_in = self.full_in - (self.rate.room - (left + 1) * self.rate.step)
        return self.rate.policy, (b"ratelimit", b'"device";r=%d;t=%d' % (left, -(-one_more_in // SECOND)))


def drawn(full_at: int, now: int, rate: Rate, count: int = 1) -> tuple[int, int]:
    """When the bucket will be full after this call, and how long the call must wait; 0 is not at all.

    More than the bucket holds is drawn from a full one.

    A bucket is known by the time at which it will be full. None is emptier than empty, whatever its rate was before.
    """
    empty_at, step = now + rate.room, rate.step if count == 1 else min(rate.step * count, rate.room)
    if full_at < now:  # min and max would be half of what a look costs
        full_at = now
    elif full_at > empty_at:
        full_at = empty_at
    wait = full_at + step - empty_at
    return (full_at, wait) if wait > 0 else (full_at + step, 0)


def monotonic_micros() -> int:
    return time.monotonic_ns() // 1000


class Buckets:
    """Of this process. Beyond `most_keys` the ones that were longest unused are forgotten, which makes them full.

    Call it on the event loop: between its look and its note nobody else may take.
    """

    def __init__(self, now: Callable[[], int] = monotonic_micros, most_keys: int = MOST_KEYS) -> None:
        self._now = now
        self._most_in_half = max(1, most_keys // 2)
        self._young: dict[Hashable, int] = {}
        self._old: dict[Hashable, int] = {}

    def take(self, key: Hashable, rate: Rate, count: int = 1) -> Allowance:
        now = self._now()
        full_at, wait = drawn(self._full_at(key, now), now, rate, count)
        self._young[key] = full_at
        return Allowance(rate, full_at - now, wait)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _full_at(self, key: Hashable, now: int) -> int:
        full_at = self._young.get(key)
        if full_at is not None:
            return full_at
        full_at = self._old.pop(key, now)
        if len(self._young) >= self._most_in_half:
            self._young, self._old = {}, self._young
        return full_at


SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answers = {}
for i, key in ipairs(KEYS) do
  local step, room = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local full_at = math.min(math.max(tonumber(redis.call('GET', key) or now), now), now + room)
  local wait = math.max(full_at + step - now - room, 0)
  if wait == 0 then
    full_at = full_at + step
    redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
  end
  answers[2 * i - 1], answers[2 * i] = full_at - now, wait
end
return answers
"""


class RedisBuckets:
    """The same buckets in a Redis or Valkey, so that all processes draw from them; by its clock."""

    def __init__(self, client: Any, prefix: str = "waystation:bucket:") -> None:
        self._script = client.register_script(SCRIPT)
        self._prefix = prefix

    def take(self, asked: list[tuple[str, Rate]]) -> list[Allowance]:
        """All in one round trip; raises what the client raises when there is no answer."""
        sizes = [number for _, rate in asked for number in (rate.step, rate.room)]
        told: list[int] = self._script(keys=[self._prefix + key for key, _ in asked], args=sizes)
        return [Allowance(rate, told[2 * n], told[2 * n + 1]) for n, (_, rate) in enumerate(asked)]
