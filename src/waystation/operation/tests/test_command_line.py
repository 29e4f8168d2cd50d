"""The table of command groups says the truth, and commands load little."""

import subprocess
import sys

import pytest

from waystation import cli
from waystation.app import FEATURES
from waystation.kernel.feature import loaded

NOT_FOR_HELP = ("sqlalchemy", "pydantic", "fastapi", "structlog")
NOT_FOR_COMMANDS = ("fastapi", "uvicorn", "numpy", "nats", "alembic")


@pytest.mark.parametrize("group", cli.GROUPS, ids=lambda group: group.name)
def test_a_group_is_told_before_it_is_loaded_as_it_is(group: cli.Group) -> None:
    found = loaded(group.where)
    assert (found.info.name, found.info.help) == (group.name, group.help)


@pytest.mark.parametrize(
    ("words", "unneeded"), [(["--help"], NOT_FOR_HELP), (["device", "list", "--help"], NOT_FOR_COMMANDS)]
)
def test_a_command_loads_only_what_it_needs(words: list[str], unneeded: tuple[str, ...]) -> None:
    told = f"""
import sys
from waystation import cli
sys.argv = ["waystation", *{words!r}]
try:
    cli.main()
except SystemExit:
    pass
sys.exit(",".join(name for name in {unneeded!r} if name in sys.modules) or 0)
"""
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert ended.stderr == ""


def test_a_feature_finds_what_it_names() -> None:
    for feature in FEATURES:
        for named in (*feature.routes, *feature.runs):
            assert loaded(named) is not None
