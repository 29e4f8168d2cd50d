"""The project's own Python files, parsed once."""

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HUB = "src/waystation/"
KERNEL = "src/waystation/kernel/"


@dataclass(frozen=True, slots=True)
class Source:
    """`place` is the path from the root, as in `src/waystation/devices/store.py`."""

    place: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.place.rsplit("/", 1)[-1]

    @property
    def feature(self) -> str | None:
        """The folder below `waystation` that it belongs to; None for app.py, cli.py and what is not the hub's."""
        inner = self.place.removeprefix(HUB)
        return inner.split("/")[0] if inner != self.place and "/" in inner else None

    def at(self, node: ast.AST) -> str:
        return f"{self.place}:{getattr(node, 'lineno', 1)}"


def tracked(*folders: str) -> list[str]:
    """Paths that git knows, and new ones that it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    return sorted(place for place in set(listed.stdout.split("\0")) if place and (ROOT / place).is_file())


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Product code below the folders: no tests, no migrations."""
    return tuple(
        Source(place, text, ast.parse(text, place))
        for place in tracked(*folders)
        if place.endswith(".py") and "/tests/" not in place and "/migrations/" not in place
        for text in [(ROOT / place).read_text()]
    )


def hub() -> tuple[Source, ...]:
    return sources("src/waystation")


def features() -> tuple[Source, ...]:
    return tuple(source for source in hub() if source.feature not in (None, "kernel", "web"))


def everything() -> tuple[Source, ...]:
    return sources("src", "agent/src", "bench")


def imports(source: Source) -> list[tuple[ast.stmt, str]]:
    """Every module named in an import; `from a import b` gives `a.b` as well as `a`."""
    found: list[tuple[ast.stmt, str]] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found += [(node, node.module), *((node, f"{node.module}.{alias.name}") for alias in node.names)]
    return found


def calls(source: Source) -> list[tuple[ast.Call, str]]:
    """Every call with the last word of what is called: `tx.connection.commit()` is `commit`."""
    return [
        (node, node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
    ]


def functions(source: Source) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def none_of(wrong: list[str], sentence: str) -> None:
    """Fails with the sentence and every place."""
    assert not wrong, "\n  ".join([sentence, *wrong])
