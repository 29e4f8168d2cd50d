"""Delivery against a real server: in order, exactly once, past every obstacle."""

from collections.abc import Callable

from agent.tests.conftest import NOON_US, Bench

from waystation_agent.backoff import CAP_SECONDS
from waystation_agent.clock import iso
from waystation_agent.delivery import ALL_SENT, MOST_SAMPLES, UNPAIRED, Verdict, judge, within_values
from waystation_agent.identity import Identity
from waystation_agent.link import Answer, Server
from waystation_agent.local_hub import LocalHub
from waystation_agent.pairing import Invitation, pair
from waystation_agent.spool import Sample


def test_samples_arrive_in_order_and_leave_the_spool(bench: Bench, hub: LocalHub, device: Identity) -> None:
    bench.sample(3)
    assert bench.deliver() is ALL_SENT
    assert hub.ledger.times("load_1m") == [iso(NOON_US + n * 10_000_000) for n in range(3)]
    assert bench.spool.depth() == 0


def test_a_backlog_drains_in_large_batches_on_one_connection(bench: Bench, hub: LocalHub, device: Identity) -> None:
    bench.sample(2 * MOST_SAMPLES + 1)
    connections = hub.connections
    calls = 0
    while bench.delivery.step() is not ALL_SENT:
        calls += 1
    assert (calls, hub.connections - connections) == (3, 1)
    assert len(hub.ledger.times("load_1m")) == 2 * MOST_SAMPLES + 1


def test_an_answer_that_was_lost_makes_no_second_reading(bench: Bench, hub: LocalHub, device: Identity) -> None:
    bench.sample(5)
    hub.faults.append("cut")
    assert bench.deliver().seconds > 0
    assert bench.spool.depth() == 5
    assert bench.deliver() is ALL_SENT
    assert len(hub.ledger.times("load_1m")) == 5


def test_a_full_or_busy_hub_loses_nothing(bench: Bench, hub: LocalHub, device: Identity) -> None:
    bench.sample(5)
    for status in (503, 507, 429, 500, 502, 404, 302):
        hub.faults.append(status)
        assert bench.deliver().seconds > 0
    assert bench.deliver() is ALL_SENT
    assert len(hub.ledger.times("load_1m")) == 5


def test_pauses_grow_to_their_cap_and_start_again_after_success(bench: Bench, hub: LocalHub, device: Identity) -> None:
    bench.sample()
    hub.faults.extend([503] * 9)
    pauses = [bench.deliver().seconds for _ in range(9)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert bench.deliver() is ALL_SENT
    bench.sample()
    hub.faults.append(503)
    assert bench.deliver().seconds == 0.5


def test_the_hubs_wish_to_wait_is_honoured(bench: Bench, hub: LocalHub, device: Identity) -> None:
    bench.sample()
    hub.headers["Retry-After"] = "120"
    hub.faults.append(503)
    assert bench.deliver().seconds == 120


def test_a_poison_reading_is_found_and_all_others_arrive(bench: Bench, hub: LocalHub, device: Identity) -> None:
    hub.unsound = lambda _metric, _at, value: value == 666
    for n in range(100):
        bench.values = {"load_1m": float(n), "uptime_seconds": 666.0 if n == 37 else float(n)}
        bench.sample()
    assert bench.deliver() is ALL_SENT
    assert len(hub.ledger.times("load_1m")) == 100
    assert len(hub.ledger.times("uptime_seconds")) == 99
    ((at, readings, reason),) = bench.spool.quarantined()
    assert (at, readings) == (iso(NOON_US + 370_000_000), '{"uptime_seconds": 666.0}')
    assert "cannot be accepted" in reason


def test_a_sample_whose_time_is_refused_is_set_aside_whole(bench: Bench, hub: LocalHub, device: Identity) -> None:
    hub.unsound = lambda _metric, at, _value: at == iso(NOON_US)
    bench.values = {f"metric_{n}": 1.0 for n in range(20)}
    bench.sample(2)
    assert bench.deliver() is ALL_SENT
    assert len(bench.spool.quarantined()) == 21
    assert hub.ledger.times("metric_3") == [iso(NOON_US + 10_000_000)]


def test_an_outage_in_the_middle_of_the_search_for_poison_changes_nothing(
    bench: Bench, hub: LocalHub, device: Identity
) -> None:
    hub.unsound = lambda metric, _at, _value: metric == "uptime_seconds"
    bench.sample(4)
    faults = iter([None, 503, None, "cut", None, None, 503] + [None] * 1_000)
    hub.fault = lambda: next(faults)
    while bench.deliver() is not ALL_SENT:
        pass
    assert len(hub.ledger.times("load_1m")) == 4
    assert bench.spool.count("quarantined_total") == 4


def test_a_refused_credential_keeps_everything_and_says_so(bench: Bench, hub: LocalHub, device: Identity) -> None:
    bench.sample(3)
    hub.faults.extend([401, 403])
    for _ in range(2):
        assert bench.deliver().seconds >= 0.9 * CAP_SECONDS
        assert bench.spool.note("link_state") == "refused"
    assert bench.spool.depth() == 3
    assert bench.deliver() is ALL_SENT
    assert bench.spool.note("link_state") == "delivering"


def test_pairing_anew_is_noticed_without_a_restart(bench: Bench, hub: LocalHub, device: Identity) -> None:
    bench.sample()
    bench.deliver()
    pair(bench.folder.identity, Invitation(hub.url, "NEWCNEWCNEWC"), Server(hub.url), name="cellar")
    bench.sample()
    assert bench.deliver() is ALL_SENT
    query = "select count(distinct serial) from reading"
    assert hub.ledger._db.execute(query).fetchone()[0] == 2


def test_without_a_pairing_nothing_is_sent(bench: Bench, hub: LocalHub) -> None:
    bench.sample()
    assert bench.deliver() is UNPAIRED
    assert bench.spool.depth() == 1


def test_losing_the_pairing_stops_delivery_and_keeps_the_spool(
    bench: Bench, hub: LocalHub, device: Identity, unpair: Callable[[], None]
) -> None:
    bench.sample()
    unpair()
    assert bench.deliver() is UNPAIRED
    assert bench.spool.depth() == 1


def test_a_hub_restart_loses_nothing(bench: Bench, hub: LocalHub, device: Identity) -> None:
    bench.sample(5)
    bench.deliver()
    path, port = bench.folder.path.parent / "hub.db", hub.port
    hub.stop()
    bench.sample(5)
    assert bench.deliver().seconds > 0
    again = LocalHub(path, port)
    try:
        assert bench.deliver() is ALL_SENT
        assert len(again.ledger.times("load_1m")) == 10
    finally:
        again.stop()


def test_a_machine_without_the_time_asks_the_hub(bench: Bench, hub: LocalHub, device: Identity) -> None:
    hub.wall = lambda: NOON_US / 1_000_000
    bench.ticks.wall = 0
    bench.sample(3)
    assert bench.deliver() is ALL_SENT
    bench.sample()
    assert bench.deliver() is ALL_SENT
    assert hub.ledger.times("load_1m") == [iso(NOON_US + 500_000 + n * 10_000_000) for n in range(-3, 1)]


def test_a_hub_that_does_not_know_the_time_either_is_asked_again(bench: Bench, hub: LocalHub, device: Identity) -> None:
    hub.wall = lambda: 0.0
    bench.ticks.wall = 0
    bench.sample()
    assert bench.deliver().seconds > 0
    assert "time is not known" in str(bench.spool.note("last_error"))


def test_only_a_hubs_own_words_acknowledge_or_condemn() -> None:
    assert judge(Answer(200, b'{"stored": 3}')) is Verdict.DELIVERED
    assert judge(Answer(200, b"<html>Please sign in to the Wi-Fi</html>")) is Verdict.LATER
    assert judge(Answer(204)) is Verdict.LATER
    assert judge(Answer(400, b"<html>The plain HTTP request was sent to HTTPS port</html>")) is Verdict.LATER
    assert judge(Answer(400, b'{"detail": "no such metric"}')) is Verdict.UNSOUND
    assert judge(Answer(413)) is Verdict.UNSOUND


def test_a_proxy_that_finds_everything_too_large_quarantines_nothing(
    bench: Bench, hub: LocalHub, device: Identity
) -> None:
    bench.sample(4)
    bench.delivery._post = lambda _readings: Answer(413, b"<html>")  # type: ignore[method-assign]
    assert bench.deliver().seconds > 0
    assert bench.spool.depth() == 4


def test_a_batch_never_carries_more_values_than_a_call_may() -> None:
    samples = [Sample(n, n, {f"m{m}": 0.0 for m in range(400)}) for n in range(30)]
    assert len(within_values(samples)) == 25
    assert len(within_values([Sample(1, 1, {f"m{m}": 0.0 for m in range(20_000)})])) == 1
