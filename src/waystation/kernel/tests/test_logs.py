import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from waystation.kernel import logs
from waystation.kernel.logs import RecentWarnings, redact, redacted
from waystation.kernel.secrets import new_secret

SECRET = "s3cr3t-W0rd_of.43+characters/that=nobody:sees"
PLAIN = "Zq7-plain_value9"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What reaches standard error, as JSON lines."""
    before, chain = structlog.get_config(), logging.getLogger()
    handlers, level = list(chain.handlers), chain.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure("info", "json")
    yield stream
    structlog.configure(**before)
    chain.handlers[:], chain.level = handlers, level


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"authorization: device kitchen:{SECRET}",
        f"Basic {SECRET}",
        f"GET /x?token={SECRET}&page=1",
        f"GET /x?page=1&api_key={SECRET}",
        f"client_secret={SECRET}",
        f"password={SECRET} was wrong",
        f"/cb?code={SECRET}",
        f"refresh_token={SECRET}",
    ],
)
def test_what_looks_like_a_secret_is_hidden_in_any_text__G_6(text: str) -> None:
    assert SECRET not in redacted(text)
    assert logs.HIDDEN in redacted(text)


def test_a_set_up_link_is_hidden_and_the_rest_is_not__G_6() -> None:
    secret = new_secret()
    assert redacted(f"GET /setup/{secret} 200") == f"GET /setup/{logs.HIDDEN} 200"


@given(st.binary(min_size=32, max_size=32).map(lambda raw: raw.hex()))
def test_no_api_key_survives_in_a_header_or_a_query__G_6(key: str) -> None:
    assert key not in redacted(f"Device kitchen:{key}") + redacted(f"Bearer {key}") + redacted(f"?token={key}")


@pytest.mark.parametrize("name", ["token", "api_key", "apikey", "Authorization", "set-cookie", "code", "new_password"])
def test_a_field_with_the_name_of_a_secret_is_hidden_whatever_it_holds__G_6(name: str) -> None:
    assert redact(None, "info", {"event": "x", name: PLAIN})[name] == logs.HIDDEN


@pytest.mark.parametrize("name", ["status", "device", "page", "sweep"])
def test_what_is_no_secret_stays_readable(name: str) -> None:
    assert redact(None, "info", {"event": "x", name: PLAIN})[name] == PLAIN


def test_neither_a_line_nor_a_stack_shows_a_secret__G_6(written: io.StringIO) -> None:
    try:
        int(f"Bearer {SECRET}")
    except ValueError:
        structlog.get_logger().exception("broken", url=f"/x?token={SECRET}")
    line = json.loads(written.getvalue())
    assert SECRET not in written.getvalue()
    assert line["event"] == "broken"
    assert "ValueError: invalid literal" in line["exception"]


def test_lines_of_libraries_pass_the_same_chain__G_6(written: io.StringIO) -> None:
    logging.getLogger("some.library").warning("asked with %s", f"password={SECRET}")
    assert json.loads(written.getvalue())["event"] == f"asked with password={logs.HIDDEN}"


def test_less_than_the_wanted_severity_is_not_written(written: io.StringIO) -> None:
    structlog.get_logger().debug("detail")
    assert written.getvalue() == ""


def test_the_system_page_has_the_last_warnings_without_secrets__G_6(written: io.StringIO) -> None:
    structlog.get_logger().info("all is well")
    structlog.get_logger().warning("not sent", token=PLAIN, subject="a.b")
    newest = logs.recent_warnings.newest_first()[0]
    assert (newest.level, newest.event) == ("warning", "not sent")
    assert PLAIN not in newest.detail
    assert "subject=a.b" in newest.detail


def test_only_so_many_warnings_are_kept_newest_first() -> None:
    kept = RecentWarnings(most=2)
    for number in range(3):
        kept(None, "error", {"event": f"fault {number}"})
    assert [line.event for line in kept.newest_first()] == ["fault 2", "fault 1"]
