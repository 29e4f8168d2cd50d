"""Names and values read the same whether Python or the browser writes them."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from waystation.web import STATIC
from waystation.web import format as reading

VECTORS = json.loads((Path(__file__).parent / "format_vectors.json").read_text("utf-8"))
METRICS = ["x", "x_percent", "x_c", "x_bytes", "x_bytes_per_second", "x_seconds", "x_v", "x_kwh", "x_rpm", "x_hpa"]
NODE_PROGRAM = """
import * as format from {module};
let input = "";
for await (const chunk of process.stdin) input += chunk;
console.log(JSON.stringify(JSON.parse(input).map(([name, ...given]) => format[name](...given))));
"""


def in_node(calls: list[list[Any]]) -> list[str]:
    """What format.js answers to calls like `["text", "cpu_percent", 3.2]`."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so format.js cannot be compared")
    program = NODE_PROGRAM.format(module=json.dumps(f"{STATIC}/format.js"))
    command = [node, "--no-warnings", "--experimental-default-type=module", "--input-type=module", "--eval", program]
    done = subprocess.run(command, input=json.dumps(calls), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def in_python(call: list[Any]) -> str:
    name, *given = call
    return getattr(reading, name)(*given)


@pytest.mark.parametrize(("call", "expected"), VECTORS, ids=[json.dumps(call) for call, _ in VECTORS])
def test_python_writes_the_vector(call: list[Any], expected: str):
    assert in_python(call) == expected


def test_the_browser_writes_the_same_vectors():
    assert in_node([call for call, _ in VECTORS]) == [expected for _, expected in VECTORS]


def test_python_and_the_browser_agree_on_any_number():
    chance = random.Random(7)
    numbers = [chance.uniform(-1, 1) * 10 ** chance.randint(-8, 18) for _ in range(1500)]
    halves = [chance.randint(-4000, 4000) / chance.choice([2, 4, 8, 16, 1024]) for _ in range(1500)]
    calls: list[list[Any]] = [["text", metric, number] for metric in METRICS for number in (*numbers, *halves, 0, 1e300, 5e-324)]
    differing = [(call, ours, theirs) for call, theirs in zip(calls, in_node(calls), strict=True) if (ours := in_python(call)) != theirs]
    assert differing == []


def test_percentages_share_a_chart_and_a_chart_has_four_lines_at_most():
    metrics = ["cpu_percent", "net_sent_bytes_per_second", "memory_percent", "net_received_bytes_per_second", "load_1m"]
    assert reading.chart_groups(metrics) == [
        ["cpu_percent", "memory_percent"],
        ["net_sent_bytes_per_second", "net_received_bytes_per_second"],
        ["load_1m"],
    ]
    assert [len(group) for group in reading.chart_groups(f"probe{i}_c" for i in range(9))] == [4, 4, 1]
