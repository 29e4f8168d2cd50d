"""Runs functions of a static module in node, so that they are tested where no page is needed."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from waystation.web import STATIC

PROGRAM = """
import * as module from {module};
let input = "";
for await (const chunk of process.stdin) input += chunk;
console.log(JSON.stringify(JSON.parse(input).map(([name, ...given]) => {{
  const answer = module[name](...given);
  return answer === undefined ? given : answer;
}})));
"""


def in_node(module: str, calls: list[list[Any]]) -> list[Any]:
    """The answers to calls like `["text", "cpu_percent", 3.2]`; of a function that changes its arguments, those."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    program = PROGRAM.format(module=json.dumps(f"{STATIC}/{module}"))
    command = [node, "--no-warnings", "--experimental-default-type=module", "--input-type=module", "--eval", program]
    done = subprocess.run(command, input=json.dumps(calls), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
