"""Every setting is documented, every decision is in the index, every link leads somewhere, every change has a kind."""

import re

from tests.architecture.sources import ROOT, none_of, tracked

KINDS = ("added", "changed", "fixed", "removed", "security")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def test_every_link_between_documents_leads_somewhere() -> None:
    wrong = [
        f"{place}: {link}"
        for place in tracked("*.md")
        for link in LINK.findall((ROOT / place).read_text())
        if not ((ROOT / place).parent / link).exists()
    ]
    none_of(wrong, "These links lead nowhere:")


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text()
    pages = [place.rsplit("/", 1)[-1] for place in tracked("docs/decisions/0*.md")]
    none_of([page for page in pages if page not in index], "docs/decisions/README.md does not list:")


def test_every_decision_says_context_decision_and_what_follows() -> None:
    parts = ("## Context", "## Decision", "## What follows")
    none_of(
        [place for place in tracked("docs/decisions/0*.md") if not all(p in (ROOT / place).read_text() for p in parts)],
        f"A decision page has {', '.join(parts)}:",
    )


def test_every_change_has_a_kind_and_says_something() -> None:
    fragments = [place for place in tracked("changelog.d/*") if not place.endswith("/README.md")]
    wrong = [
        p for p in fragments if not p.endswith(tuple(f".{k}.md" for k in KINDS)) or not (ROOT / p).read_text().strip()
    ]
    none_of(wrong, f"A fragment is named <words>.<kind>.md, kind one of {', '.join(KINDS)}, and has a line:")
