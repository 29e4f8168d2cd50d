"""At the end of a run: which client passed which scenario, and what MicroPython's services took of the heap."""

import re
from collections import defaultdict

import pytest

SCENARIO = re.compile(r"firmware/conformance/.*::test_(\w+)\[(\w+)")
MARKS = {"passed": "yes", "failed": "NO", "skipped": "–"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _show_scenarios(terminalreporter)
    _show_heap(terminalreporter)


def _show_scenarios(terminalreporter: pytest.TerminalReporter) -> None:
    table: dict[str, dict[str, str]] = defaultdict(dict)
    for outcome, mark in MARKS.items():
        for report in terminalreporter.stats.get(outcome, []) + terminalreporter.stats.get("error", []):
            if (found := SCENARIO.search(report.nodeid)) and report.when in ("call", "setup"):
                table[found[1].replace("_", " ")].setdefault(found[2], "NO" if report.failed else mark)
    if not table:
        return
    clients = sorted({client for row in table.values() for client in row})
    width = max(len(scenario) for scenario in table)
    terminalreporter.section("conformance: client by scenario")
    terminalreporter.write_line("  ".join([" " * width, *clients]))
    for scenario, row in sorted(table.items()):
        marks = (row.get(client, "–").ljust(len(client)) for client in clients)
        terminalreporter.write_line("  ".join([scenario.ljust(width), *marks]))


def _show_heap(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("passed", [])
    lines = [line for report in reports for name, line in report.user_properties if name == "heap"]
    if lines:
        terminalreporter.section("MicroPython: bytes alive on the heap at most (words of 64 bits, of 32 bits)")
        for line in lines:
            terminalreporter.write_line(line)
