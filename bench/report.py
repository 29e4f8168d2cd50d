"""Keeps what a bench measured, and on which machine, as JSON in bench/results; `--page` makes docs/performance.md."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
IMAGES = PAGE.parent / "images"

MOST_COLUMNS = 12  # a table with more lies on its side

WHERE = (("", ""), ("_postgresql", ", PostgreSQL"))
# Promises of the design: result, row (by its first words), figure, bound; `at most` where less is better.
PROMISES = (
    (
        "http_single",
        "single",
        "readings_per_second",
        10_000,
        "at least",
        "single readings a second on one core, durable",
    ),
    (
        "http_single",
        "single",
        "ratio_to_bare",
        0.35,
        "at least",
        "… against a bare asyncio no-op server in the same run",
    ),
    (
        "http_batches",
        "values",
        "values_per_second",
        200_000,
        "at least",
        "values a second in batches on one core, durable",
    ),
    (
        "rate_limits",
        "single readings, a limit in the process",
        "ratio_to_none",
        0.85,
        "at least",
        "single readings with a limit against none in the same run",
    ),
    ("rate_limits", "drawing", "microseconds", 10, "at most", "µs to draw from a device's bucket and say so"),
    ("store", "append", "ratio_to_bare", 0.5, "at least", "… the store against a bare executemany append"),
    ("alerts", "1,000 rules", "cost_percent", 10, "at most", "% of ingest that 1,000 alert rules cost"),
    ("mqtt", "MQTT", "messages_per_second", 2_000, "at least", "MQTT QoS 1 messages a second, PUBACK after fsync"),
    ("history", "a day", "ours_p50_ms", 10, "at most", "ms for a day in 500 points"),
    ("history", "a month", "ours_p50_ms", 50, "at most", "ms for a month by hour"),
    ("history", "last value", "ours_p50_ms", 10, "at most", "ms for the last value of 1,000 devices"),
    ("history", "bytes", "ours", 3, "at most", "bytes on disk for a sealed value"),
    ("history_postgresql", "a day", "ours_p50_ms", 10, "at most", "ms for a day in 500 points, PostgreSQL"),
    ("history_postgresql", "a month", "ours_p50_ms", 50, "at most", "ms for a month by hour, PostgreSQL"),
    ("history_postgresql", "last value", "ours_p50_ms", 10, "at most", "ms for 1,000 last values, PostgreSQL"),
    ("history_postgresql", "bytes", "ours", 3, "at most", "bytes on disk for a sealed value, PostgreSQL"),
    *(
        (
            f"growth{on}",
            "change",
            "batch_ratio_to_bare",
            -10,
            "at least",
            f"% that storing loses at ten times as much{word}",
        )
        for on, word in WHERE
    ),
    *(
        (f"stalls{on}", beside, "longest_ms", 50, "at most", f"ms that a commit took at most, beside {beside}{word}")
        for on, word in WHERE
        for beside in ("sealing", "counting", "export", "retention", "deleting a range", "deleting all")
    ),
    ("export", "export csv", "rows_per_second", 300_000, "at least", "rows a second of CSV export"),
    ("export", "export csv", "first_byte_ms", 200, "at most", "ms to its first byte"),
    ("export", "export csv", "resident_growth_mb", 50, "at most", "MB more memory, however long it is"),
    ("start", "waystation", "start_seconds", 2, "at most", "seconds from the command to the first answer"),
    ("start", "waystation", "resident_mb", 120, "at most", "MB in all processes with 0 devices"),
    ("signin_storm", "page, 10", "delay_ms", 100, "at most", "ms that ten wrong sign-ins at once delay a page"),
    ("signin_storm", "reading, 10", "delay_ms", 100, "at most", "ms that they delay a reading"),
    ("files", "download", "ratio_to_nginx", 0.5, "at least", "… a download against nginx with the same file"),
    ("files", "upload", "resident_growth_mb", 50, "at most", "MB more memory for an upload of 2 GB"),
    ("commands", "idle polls for commands", "per_second", 5_000, "at least", "idle polls a second on one core"),
    ("commands", "idle polls for packages", "per_second", 5_000, "at least", "… for packages and updates"),
    (
        "commands",
        "1,000 devices that",
        "per_second",
        990,
        "at least",
        "polls a second of 1,000 devices that also send",
    ),
    ("commands", "1,000 devices that", "core_percent", 100, "at most", "% of one core that they take"),
    *(
        ("commands", f"command over {link}, 1,000 devices connected{beside}", "p99_ms", 50, "at most", words)
        for link in ("MQTT", "WebSocket")
        for beside, words in (
            ("", f"ms (p99) from the call until one of 1,000 devices has its command over {link}"),
            (", beside", "… beside telemetry"),
        )
    ),
    (
        "commands",
        "2,000 devices cut off",
        "all_back_seconds",
        10,
        "at most",
        "seconds until 2,000 are back after a cut",
    ),
    ("commands", "2,000 devices cut off", "honest_worst_ms", 1000, "at most", "ms that somebody else waited meanwhile"),
    ("connections", "keep-alive", "kilobytes_each", 30, "at most", "KB an idle keep-alive connection"),
    ("connections", "live", "kilobytes_each", 30, "at most", "KB a live page"),
)

HEAD = """# Performance

Made by `make bench` from bench/results; do not edit. Every bench runs its baseline in the same run on the same machine:
compare ratios, not seconds, with your own. A load above 2 or 3 means that others worked on that machine meanwhile; a
negative priority, that the bench went before them, though not before their use of caches, memory and disk.

| promise | bound | measured | |
|---|---|---|---|
"""


def machine() -> dict[str, Any]:
    """What the figures depend on; no name of the host. `load` is of the last minute, the bench's own included."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": memory,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "nice": os.nice(0),
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def save(name: str, rows: Sequence[Mapping[str, Any]], notes: str = "") -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    kept = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "notes": notes,
        "rows": rows,
    }
    path.write_text(json.dumps(kept, indent=2) + "\n")
    return path


def page() -> str:
    results = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    promised = "".join(_promise(results[promise[0]], promise) for promise in PROMISES if promise[0] in results)
    return HEAD + promised + "".join(_section(name, result) for name, result in results.items())


def _promise(result: Mapping[str, Any], promise: tuple[str, str, str, float, str, str]) -> str:
    _, what, figure, bound, side, words = promise
    row = next(row for row in result["rows"] if str(row["what"]).startswith(what) and figure in row)
    kept = row[figure] >= bound if side == "at least" else row[figure] <= bound
    return f"| {words} | {side} {bound:,} | {row[figure]:,} | {'kept' if kept else '**not kept**'} |\n"


def _section(name: str, result: Mapping[str, Any]) -> str:
    machine_ = result["machine"]
    where = f"{machine_['cpu']}, {machine_['cores']} cores, Linux {machine_['kernel']}, Python {machine_['python']}"
    where += f", load {machine_['load']} at priority {machine_['nice']}" if "load" in machine_ else ""
    columns = list(dict.fromkeys(column for row in result["rows"] for column in row))
    cells = [columns, *([_cell(row.get(column)) for column in columns] for row in result["rows"])]
    if len(columns) > MOST_COLUMNS:
        cells = [list(turned) for turned in zip(*cells, strict=True)]
    lines = [cells[0], ["---"] * len(cells[0]), *cells[1:]]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    plot = f"\n![{name}](images/{name}.svg)\n" if (IMAGES / f"{name}.svg").exists() else ""
    return f"\n## {_script(name)}\n\n{result['notes']}. {where}, {result['measured_at'][:10]}.\n\n{table}{plot}"


def _script(name: str) -> str:
    script, postgresql, _ = name.partition("_postgresql")
    return f"bench/{script}.py{' --postgresql' if postgresql else ''}"


def _cell(figure: Any) -> str:
    return "" if figure is None else f"{figure:,}" if isinstance(figure, int | float) else str(figure)


if __name__ == "__main__":
    if sys.argv[1:] != ["--page"]:
        sys.exit("usage: report.py --page")
    PAGE.write_text(page())
    print(f"{PAGE.name} is written from {len(list(RESULTS.glob('*.json')))} results")
