"""What may never be in the repository: secrets, binaries, hosts of package registries, one machine's paths."""

import re
from pathlib import Path

import pytest
from tests.architecture.sources import ROOT, none_of, tracked

# Put together here, so that this file does not contain what it looks for.
REGISTRIES = tuple(
    ".".join(words)
    for words in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("repo1", "maven", "org"),
        ("deb", "debian", "org"),
    )
)
PATHS_OF_A_MACHINE = re.compile(
    "|".join(("/" + "work/", "/" + r"root/\.", "/" + r"home/(?!pi\b|waystation\b|runner\b)[a-z]+/"))
)
BINARY_KINDS = {".png", ".ico", ".woff2", ".webp", ".jpg"}  # screenshots and icons
SECRETS = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    "a cloud access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a forge token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,}|glpat-[\w-]{20})\b"),
    "a chat or mail service's token": re.compile(r"\b(?:xox[baprs]-[\w-]{10,}|SG\.[\w-]{22}\.[\w-]{43})\b"),
    "a signed token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}\b"),
    "an nkey seed": re.compile(r"\bS[UAONC]A[A-Z2-7]{55}\b"),
    "a password in a URL": re.compile(
        r"\b(?:postgres(?:ql)?|nats|redis|amqp|mqtts?)(?:\+\w+)?://[^\s:/@{}<>$]+:(?!secret@|password@|test@)[^\s@{}<>$…*]{8,}@"
    ),
}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {place: text for place in tracked(".") if (text := _text(ROOT / place)) is not None}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_no_file_names_a_package_registry(texts: dict[str, str]) -> None:
    """Where packages come from is each machine's own setting."""
    none_of(
        [f"{place}: {host}" for place, text in texts.items() for host in REGISTRIES if host in text],
        "Which registry serves a machine is that machine's setting; take the host name out:",
    )


def test_no_file_holds_a_path_of_somebodys_machine(texts: dict[str, str]) -> None:
    none_of(_found(texts, PATHS_OF_A_MACHINE), "A path of one machine means nothing on another:")


@pytest.mark.parametrize("kind", SECRETS)
def test_no_file_holds_a_secret(kind: str, texts: dict[str, str]) -> None:
    none_of(
        _found(texts, SECRETS[kind]), f"This looks like {kind}. If it was real, revoke it; removing it is not enough:"
    )


def test_only_pictures_are_binary(texts: dict[str, str]) -> None:
    none_of(
        [place for place in tracked(".") if place not in texts and Path(place).suffix not in BINARY_KINDS],
        "Binaries are built or installed, not kept here:",
    )


def _found(texts: dict[str, str], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{place}:{number}"
        for place, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
