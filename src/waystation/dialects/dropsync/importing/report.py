"""What an import has done: of each kind how many came in or were there before, and what was left out, and why."""

from dataclasses import asdict, dataclass, field
from typing import Any

MOST_TOLD = 1000


@dataclass(slots=True)
class Counts:
    imported: int = 0
    known: int = 0
    skipped: int = 0


@dataclass(slots=True)
class Report:
    kinds: dict[str, Counts] = field(default_factory=dict[str, Counts])
    left_out: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def of(self, kind: str) -> Counts:
        return self.kinds.setdefault(kind, Counts())

    def skip(self, kind: str, which: object, why: str) -> None:
        self.of(kind).skipped += 1
        if len(self.left_out) < MOST_TOLD:
            self.left_out.append({"kind": kind, "which": str(which)[:120], "why": why})

    def count(self, kind: str, *, is_new: bool) -> None:
        counts = self.of(kind)
        if is_new:
            counts.imported += 1
        else:
            counts.known += 1

    def facts(self) -> dict[str, Any]:
        return {**{kind: asdict(one) for kind, one in self.kinds.items()}, "left_out": self.left_out}
