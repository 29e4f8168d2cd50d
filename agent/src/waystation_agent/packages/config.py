"""Where packages of each type go, and what is done with them there, as `agent.toml` says."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from waystation_agent import written
from waystation_agent.errors import BadInput
from waystation_agent.packages.model import TYPES


@dataclass(frozen=True)
class Manner:
    """The table [packages.TYPE]. Commands run without a shell, and must bear to be run again."""

    path: str = ""
    after: tuple[str, ...] = ()
    """Run after a switch, and after a switch back: `["systemctl", "reload", "x"]`."""
    check: tuple[str, ...] = ()
    """Run then; code 0 means that the package is good."""
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.path and not Path(self.path).is_absolute():
            raise ValueError("path must begin with /")
        if not 0 < self.timeout_seconds <= 3_600:
            raise ValueError("timeout_seconds is more than 0 and at most 3600")


@dataclass(frozen=True)
class Deploying:
    """The table [packages]: how often the hub is asked, and the manner of each type."""

    poll_seconds: float = 60.0
    manners: Mapping[str, Manner] = field(default_factory=dict[str, Manner], metadata={"option": False})

    def __post_init__(self) -> None:
        if not 0.1 <= self.poll_seconds <= 86_400:
            raise ValueError("poll_seconds is from 0.1 to 86400")


def load(path: Path, usual: Path) -> Deploying:
    """Return what is said, and for each type of which nothing is said a folder in the usual one."""
    with written.opened(path) as tables:
        found = dict(written.table(tables, "packages"))
        own = {key: found.pop(key) for key in ("poll_seconds",) if key in found}
        manners = {kind: _manner(found, kind, usual) for kind in dict.fromkeys([*TYPES, *found])}
        return replace(written.fill(Deploying, "[packages]", own), manners=manners)


def _manner(found: Mapping[str, object], kind: str, usual: Path) -> Manner:
    if kind not in TYPES:
        raise BadInput(f"there are no packages of type {kind}; there are {', '.join(TYPES)}")
    table = written.table(found, kind)
    return written.fill(Manner, f"[packages.{kind}]", {"path": str(usual / kind), **table})
