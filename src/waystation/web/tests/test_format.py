"""Names and values read the same whether Python or the browser writes them."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from waystation.web import format as reading
from waystation.web.tests.node import in_node

VECTORS = json.loads((Path(__file__).parent / "format_vectors.json").read_text("utf-8"))
METRICS = ["x", "x_percent", "x_c", "x_bytes", "x_bytes_per_second", "x_seconds", "x_v", "x_kwh", "x_rpm", "x_hpa"]


def in_python(call: list[Any]) -> str:
    name, *given = call
    return getattr(reading, name)(*given)


@pytest.mark.parametrize(("call", "expected"), VECTORS, ids=[json.dumps(call) for call, _ in VECTORS])
def test_python_writes_the_vector(call: list[Any], expected: str) -> None:
    assert in_python(call) == expected


def test_the_browser_writes_the_same_vectors() -> None:
    assert in_node("format.js", [call for call, _ in VECTORS]) == [expected for _, expected in VECTORS]


def test_python_and_the_browser_agree_on_any_number() -> None:
    chance = random.Random(7)
    numbers = [chance.uniform(-1, 1) * 10 ** chance.randint(-8, 18) for _ in range(1500)]
    halves = [chance.randint(-4000, 4000) / chance.choice([2, 4, 8, 16, 1024]) for _ in range(1500)]
    calls: list[list[Any]] = [
        ["text", metric, number] for metric in METRICS for number in (*numbers, *halves, 0, 1e300, 5e-324)
    ]
    differing = [
        (call, ours, theirs)
        for call, theirs in zip(calls, in_node("format.js", calls), strict=True)
        if (ours := in_python(call)) != theirs
    ]
    assert differing == []


def test_percentages_share_a_chart_and_a_chart_has_four_lines_at_most() -> None:
    metrics = ["cpu_percent", "net_sent_bytes_per_second", "memory_percent", "net_received_bytes_per_second", "load_1m"]
    assert reading.chart_groups(metrics) == [
        ["cpu_percent", "memory_percent"],
        ["net_sent_bytes_per_second", "net_received_bytes_per_second"],
        ["load_1m"],
    ]
    assert [len(group) for group in reading.chart_groups(f"probe{i}_c" for i in range(9))] == [4, 4, 1]
