"""Browsers and apps by the names their owners know them by."""

import pytest

from waystation.identity.account.browser import browser_name

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.3 Safari/605.1.15", "Safari on Mac"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1 Version/18.3 Mobile Safari/604.1",
            "Safari on iPhone",
        ),
        (f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {WEBKIT} Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox on Android"),
        ("Mozilla/5.0 (iPad; CPU OS 18_3 like Mac OS X) AppleWebKit/605.1 CriOS/140.0 Safari/604.1", "Chrome on iPad"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 16093) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on ChromeOS"),
        ("okhttp/4.9.2", "okhttp"),
        ("python-requests/2.32.3", "python-requests"),
        ("HomeApp/12 CFNetwork/1494 Darwin/23.4.0", "HomeApp on Mac"),
        ("Mozilla/5.0", "Unknown"),
        ("", "Unknown"),
        (None, "Unknown"),
        ("<script>alert(1)</script>", "Unknown"),
    ],
)
def test_a_browser_is_called_what_its_owner_calls_it(agent: str | None, name: str) -> None:
    assert browser_name(agent) == name
