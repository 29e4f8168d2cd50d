"""Mail through a real SMTP server: encrypted, refused, delayed, and never lost or lightly doubled."""

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from tests.hub import free_port

from waystation.kernel import mail, outbox, settings
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.errors import Invalid
from waystation.kernel.outbox import Courier
from waystation.kernel.tests.smtp_site import (
    PASSWORD,
    USER,
    Certificate,
    Mailbox,
    only_with_password,
    self_made_certificate,
    serving,
)

LINK = "https://hub.example/invitations/veryveryverysecretlinkthatnobodymaysee"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def port(mailbox: Mailbox) -> Iterator[int]:
    with serving(mailbox, free_port()) as chosen:
        yield chosen


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_made_certificate(tmp_path_factory.mktemp("certificate"))


def courier(database: Database, clock: ManualClock, url: str, mail_from: str = "Hub <hub@example.org>") -> Courier:
    chosen, _ = settings.load({"smtp_url": url, "mail_from": mail_from}, {})
    return Courier(database, clock, {mail.MAIL: mail.sender(chosen)}, may_send=lambda: True)


def write(database: Database, clock: ManualClock, to: str = "ann@example.org", **more: str) -> None:
    with database.write() as tx:
        mail.send(tx, clock.now(), to=to, subject="Come in", text=f"Open {LINK}", **more)  # type: ignore[arg-type]


def waiting(database: Database) -> list[mail.Waiting]:
    with database.read() as tx:
        return mail.waiting(tx)


def test_a_mail_arrives_as_text_and_html(database: Database, clock: ManualClock, mailbox: Mailbox, port: int) -> None:
    write(database, clock, html=f'<p><a href="{LINK}">Öffnen</a></p>')
    assert courier(database, clock, f"smtp://127.0.0.1:{port}").deliver() == 1
    [arrived] = mailbox.taken
    assert mailbox.recipients == ["ann@example.org"]
    assert arrived["from"] == "Hub <hub@example.org>"
    assert arrived["subject"] == "Come in"
    assert arrived["date"].datetime == clock.now()
    plain, rich = arrived.get_body(("plain",)), arrived.get_body(("html",))
    assert plain is not None
    assert LINK in plain.get_content()
    assert rich is not None
    assert "Öffnen" in rich.get_content()
    assert waiting(database) == []


def test_starttls_with_a_self_made_certificate_and_a_password(
    database: Database, clock: ManualClock, mailbox: Mailbox, certificate: Certificate
) -> None:
    options = {"tls_context": certificate.context, "require_starttls": True, "auth_required": True}
    with serving(mailbox, free_port(), authenticator=only_with_password, **options) as port:
        user = f"{quote(USER)}:{quote(PASSWORD, safe='')}"
        write(database, clock)
        courier(database, clock, f"smtp+starttls://{user}@127.0.0.1:{port}?ca={certificate.file}").deliver()
    assert mailbox.encrypted == [True]


def test_tls_from_the_first_byte(
    database: Database, clock: ManualClock, mailbox: Mailbox, certificate: Certificate
) -> None:
    with serving(mailbox, free_port(), ssl_context=certificate.context) as port:
        write(database, clock)
        courier(database, clock, f"smtps://127.0.0.1:{port}?ca={certificate.file}").deliver()
    assert len(mailbox.taken) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused_and_nothing_is_said(
    database: Database, clock: ManualClock, mailbox: Mailbox, certificate: Certificate
) -> None:
    with serving(mailbox, free_port(), tls_context=certificate.context) as port:
        write(database, clock)
        courier(database, clock, f"smtp+starttls://127.0.0.1:{port}").deliver()
    assert mailbox.taken == []
    [one] = waiting(database)
    assert one.given_up_at is None
    assert "certificate" in (one.fault or "").lower()


def test_a_server_without_starttls_is_sent_nothing_in_the_clear(
    database: Database, clock: ManualClock, mailbox: Mailbox, port: int
) -> None:
    write(database, clock)
    courier(database, clock, f"smtp+starttls://127.0.0.1:{port}").deliver()
    assert mailbox.taken == []
    assert waiting(database)[0].fault


def test_a_wrong_password_waits_for_the_owner_and_is_not_the_mails_fault(
    database: Database, clock: ManualClock, mailbox: Mailbox, certificate: Certificate
) -> None:
    options = {"tls_context": certificate.context, "require_starttls": True, "auth_required": True}
    with serving(mailbox, free_port(), authenticator=only_with_password, **options) as port:
        write(database, clock)
        courier(database, clock, f"smtp+starttls://me:wrong@127.0.0.1:{port}?ca={certificate.file}").deliver()
    [one] = waiting(database)
    assert one.given_up_at is None
    assert "SMTP_URL" in (one.fault or "")
    assert "wrong" not in (one.fault or "")


@pytest.mark.parametrize("verb", ["RCPT", "DATA"])
def test_refused_for_now_is_tried_again_later_and_comes_once(
    database: Database, clock: ManualClock, mailbox: Mailbox, port: int, verb: str
) -> None:
    mailbox.answers[verb] = ["451 come back later"]
    sending = courier(database, clock, f"smtp://127.0.0.1:{port}")
    write(database, clock)
    sending.deliver()
    assert mailbox.taken == []
    [one] = waiting(database)
    assert one.given_up_at is None
    assert "451 come back later" in (one.fault or "")
    assert sending.deliver() == 0  # not yet due
    clock.turn((one.due_at - clock.now()).total_seconds())
    assert sending.deliver() == 1
    assert len(mailbox.taken) == 1
    assert waiting(database) == []


@pytest.mark.parametrize("verb", ["RCPT", "DATA"])
def test_refused_for_good_is_given_up_with_the_reason_and_can_be_sent_again(
    database: Database, clock: ManualClock, mailbox: Mailbox, port: int, verb: str
) -> None:
    mailbox.answers[verb] = ["550 no such person here"]
    sending = courier(database, clock, f"smtp://127.0.0.1:{port}")
    write(database, clock)
    sending.deliver()
    [one] = waiting(database)
    assert one.given_up_at == clock.now()
    assert "550 no such person here" in (one.fault or "")
    clock.turn(86400)
    assert sending.deliver() == 0
    with database.write() as tx:
        assert mail.again(tx, [one], clock.now()) == 1
    assert sending.deliver() == 1
    assert len(mailbox.taken) == 1


def test_with_the_server_away_nothing_is_lost_and_all_comes_once_when_it_is_back(
    database: Database, clock: ManualClock, mailbox: Mailbox
) -> None:
    port = free_port()
    sending = courier(database, clock, f"smtp://127.0.0.1:{port}")
    people = [f"person{i}@example.org" for i in range(5)]
    for address in people:
        write(database, clock, to=address)
    for _ in range(8):
        while sending.deliver():
            pass
        clock.turn(60)
    assert all(
        "cannot be reached" in (one.fault or "") or "not reached" in (one.fault or "") for one in waiting(database)
    )
    assert len(waiting(database)) == 5
    with serving(mailbox, port):
        clock.turn(3600)
        while sending.deliver():
            pass
    assert sorted(mailbox.recipients) == people
    assert waiting(database) == []


def test_after_days_of_trying_it_is_given_up_and_stays_to_be_seen(database: Database, clock: ManualClock) -> None:
    sending = courier(database, clock, f"smtp://127.0.0.1:{free_port()}")
    write(database, clock)
    clock.turn(mail.PATIENCE.total_seconds() + 1)
    sending.deliver()
    assert waiting(database)[0].given_up_at == clock.now()


def test_a_mail_whose_answer_was_lost_comes_again_under_the_same_message_id(
    database: Database, clock: ManualClock, mailbox: Mailbox, port: int
) -> None:
    mailbox.answers["DATA"] = ["break off"]
    sending = courier(database, clock, f"smtp://127.0.0.1:{port}")
    write(database, clock)
    sending.deliver()
    clock.turn(3600)
    sending.deliver()
    first, second = mailbox.taken
    assert first["message-id"] == second["message-id"]
    assert first["message-id"].endswith("@example.org>")


def test_what_a_crash_interrupted_is_claimed_and_later_sent_by_another(
    database: Database, clock: ManualClock, mailbox: Mailbox, port: int
) -> None:
    class Crash(BaseException):
        pass

    def crash(_subject: str, _body: bytes) -> None:
        raise Crash

    write(database, clock)
    dying = Courier(database, clock, {mail.MAIL: outbox.Sender(crash, singly=True)}, may_send=lambda: True)
    with pytest.raises(Crash):
        dying.deliver()
    sending = courier(database, clock, f"smtp://127.0.0.1:{port}")
    assert sending.deliver() == 0
    clock.turn(outbox.CLAIM_SECONDS)
    assert sending.deliver() == 1
    assert len(mailbox.taken) == 1


def test_two_couriers_that_read_the_same_row_send_it_once(
    database: Database, clock: ManualClock, mailbox: Mailbox, port: int
) -> None:
    sending, other = (courier(database, clock, f"smtp://127.0.0.1:{port}") for _ in range(2))
    write(database, clock)
    with database.read() as tx:
        row = tx.all(outbox.outbox.select())[0]
    assert sending._claimed([row], clock.now())
    assert not other._claimed([row], clock.now())


def test_the_same_dedupe_is_written_once_while_it_waits(database: Database, clock: ManualClock) -> None:
    for _ in range(2):
        write(database, clock, dedupe="incident 7")
    write(database, clock, dedupe="incident 8")
    assert len(waiting(database)) == 2


def test_without_a_server_mail_is_kept_to_be_read_and_its_text_is_in_no_log(
    database: Database, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), structlog.testing.capture_logs() as lines:
        write(database, clock)
        courier(database, clock, "").deliver()
    [one] = waiting(database)
    assert LINK in one.letter.text
    assert one.fault == mail.NO_SERVER
    assert LINK not in caplog.text
    assert LINK not in str(lines)


def test_faults_of_sending_show_no_text_in_the_log(
    database: Database, clock: ManualClock, mailbox: Mailbox, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.answers["DATA"] = ["550 no"]
    with caplog.at_level(logging.DEBUG), structlog.testing.capture_logs() as lines:
        write(database, clock)
        courier(database, clock, f"smtp://127.0.0.1:{port}").deliver()
    assert lines
    assert LINK not in str([record.getMessage() for record in caplog.records if record.name != "mail.log"])
    assert LINK not in str(lines)


@tries(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40), st.text(max_size=30), st.text(max_size=30))
def test_no_text_smuggles_a_header_into_a_mail(subject: str, text: str, name: str) -> None:
    letter = mail.Letter("ann@example.org", mail.one_line(subject), text, None, ManualClock().now(), "mark")
    composed = mail.compose(f"{mail.one_line(name)} <hub@example.org>", letter) if "<" not in name else None
    if composed is not None:
        assert len(composed.keys()) <= 9
        assert "bcc" not in [key.lower() for key in composed]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "a@",
        "@b",
        "a b@c.example",
        "a@b.example\r\nBcc: x@y.example",
        "<a@b.example>",
        "a@b.example,c@d.example",
    ],
)
def test_what_is_no_single_address_is_refused(database: Database, clock: ManualClock, address: str) -> None:
    with pytest.raises(Invalid):
        write(database, clock, to=address)


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example.org",
        "mail.example.org",
        "smtp://",
        "smtp://h:notaport",
        "smtps://h/path",
        "smtps://h?verify=no",
        "smtp://me:secretword@mail.example.org",
    ],
)
def test_a_wrong_mail_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Invalid) as wrong:
        mail.Server.parse(url)
    assert "secretword" not in wrong.value.sentence


def test_the_password_of_the_mail_server_shows_nowhere(tmp_path: Path) -> None:
    server = mail.Server.parse("smtps://me:secretword@mail.example.org")
    assert server.port == 465
    assert "secretword" not in repr(server)
