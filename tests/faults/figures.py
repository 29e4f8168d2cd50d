"""What a fault run found: one line for the reader, one JSON file for who compares."""

import json
import sys

from tests.architecture.sources import ROOT

RESULTS = ROOT / "test-results"


def report(run: str, **figures: float | str) -> None:
    words = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in figures.items())
    sys.stdout.write(f"\n{run}: {words}\n")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{'-'.join(run.replace('-', ' ').split())}.json").write_text(
        json.dumps({"run": run, **figures}, indent=1) + "\n"
    )
