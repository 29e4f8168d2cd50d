import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from waystation.kernel.clock import iso
from waystation.kernel.desk import AsJson, Data, desk, say, show_json, show_table

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_command_opens_its_desk_only_when_it_sits_down(tmp_path: Path) -> None:
    opened: list[Path | None] = []
    app = typer.Typer()

    @app.callback()
    def top(context: typer.Context) -> None:
        context.obj = lambda data: opened.append(data) or SimpleNamespace(home_id=7)

    @app.command()
    def look(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:  # noqa: FBT002
        found = desk(context, data)
        show_json({"home": found.home_id}) if as_json else say(f"home {found.home_id}")

    shown = CliRunner().invoke(app, ["look", "--data", str(tmp_path), "--json"])
    assert (shown.exit_code, json.loads(shown.stdout)) == (0, {"home": 7})
    assert CliRunner().invoke(app, ["look"]).stdout == "home 7\n"
    assert CliRunner().invoke(app, ["look", "--help"]).exit_code == 0
    assert opened == [tmp_path, None]


def test_json_is_one_line_with_times_as_everywhere_else(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"at": AT, "where": Path("/a"), "name": "Küche"})
    written = capsys.readouterr().out
    assert written.count("\n") == 1
    assert json.loads(written) == {"at": iso(AT), "where": "/a", "name": "Küche"}
    assert "Küche" in written


def test_a_table_shows_every_cell_and_nothing_for_none(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("key", "seen"), [("abc", AT), ("[b]def[/b]", None)], empty="none yet")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["key", "seen"], ["abc", iso(AT)], ["[b]def[/b]"]]


def test_an_empty_table_says_so_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("key",), [], empty="No devices yet.")
    assert capsys.readouterr().out == "No devices yet.\n"
