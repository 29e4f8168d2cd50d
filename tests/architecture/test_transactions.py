"""One request, one transaction, opened where you can see it; and the linter's promises that we lean on."""

import re
import subprocess
import sys

from tests.architecture.sources import KERNEL, ROOT, calls, features, hub, none_of

LEFT_TO_THE_LINTER = '''"""A page of what must not pass."""

import asyncio
from datetime import datetime


async def wrong() -> None:
    asyncio.create_task(asyncio.sleep(0))
    print(datetime.utcnow(), datetime.now())
'''


def test_only_the_kernel_commits() -> None:
    none_of(
        [
            source.at(call)
            for source in hub()
            if not source.place.startswith(KERNEL)
            for call, name in calls(source)
            if name == "commit"
        ],
        "Services never commit; the transaction is opened and ended by the kernel:",
    )


def test_features_open_no_connections_of_their_own() -> None:
    none_of(
        [source.at(call) for source in features() for call, name in calls(source) if name == "create_engine"],
        "There is one seam to the database, kernel/db.py:",
    )


def test_the_linter_refuses_lost_tasks_naive_times_and_prints() -> None:
    """They have no test of their own here: this proves that their rules are in force for the hub's files."""
    checked = [sys.executable, "-m", "ruff", "check", "--output-format=concise", "--stdin-filename"]
    linted = subprocess.run(
        [*checked, "src/waystation/devices/service.py", "-"],
        cwd=ROOT,
        input=LEFT_TO_THE_LINTER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert {"RUF006", "DTZ003", "DTZ005", "T201"} <= set(re.findall(r"[A-Z]+\d{3}", linted.stdout)), linted.stdout
