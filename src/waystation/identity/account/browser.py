"""What a browser or app calls itself, in the words of its owner."""

import re

# The first that fits: others claim to be Chrome, Chrome claims to be Safari, and everybody claims to be Mozilla.
BROWSERS = (
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\b(?:OPR|Opera|OPiOS)/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Vivaldi", r"\bVivaldi/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chromium", r"\bChromium/"),
    ("Chrome", r"\b(?:Headless)?(?:Chrome|CriOS)/"),
    ("Safari", r"\bVersion/[\d.]+ .*Safari/"),
)
SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Mac", r"\bMac ?OS\b|\bMacintosh\b|\bDarwin\b"),
    ("Linux", r"\bLinux\b|\bX11\b"),
)
PRODUCT = re.compile(r"[A-Za-z][\w.+-]{0,30}(?=/|\s|$)")


def browser_name(agent: str | None) -> str:
    """`Firefox on Linux`; a program's own name; `Unknown` when it says nothing that can be understood."""
    agent = agent or ""
    system = _first(SYSTEMS, agent)
    browser = _first(BROWSERS, agent) or _program(agent)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "Unknown"


def _program(agent: str) -> str | None:
    """`okhttp` of `okhttp/4.9.2`; "Mozilla" is nobody's name."""
    found = PRODUCT.match(agent)
    return found[0] if found and found[0] != "Mozilla" else None


def _first(known: tuple[tuple[str, str], ...], agent: str) -> str | None:
    return next((name for name, pattern in known if re.search(pattern, agent)), None)
