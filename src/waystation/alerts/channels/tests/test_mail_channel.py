"""Mail: to the right people, in two forms, and once, whatever the mail server does meanwhile."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr
from tests.hub import free_port

from waystation.alerts.channels.tests.site import LINE, Site
from waystation.kernel.errors import Invalid
from waystation.kernel.tests.smtp_site import (
    PASSWORD,
    USER,
    Mailbox,
    only_with_password,
    self_made_certificate,
    serving,
)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def port(mailbox: Mailbox) -> Iterator[int]:
    with serving(mailbox, free_port()) as chosen:
        yield chosen


def by(home: Site, url: str) -> Site:
    return home.with_(smtp_url=SecretStr(url), mail_from="Hub <hub@example.org>")


def test_without_any_channel_the_owners_get_it_as_text_and_html(home: Site, mailbox: Mailbox, port: int) -> None:
    site = by(home, f"smtp://127.0.0.1:{port}")
    assert site.put() == 1
    site.send_all()
    [mail] = mailbox.taken
    assert mailbox.recipients == ["owner@example.org"]
    assert mail["subject"] == "🔴 High Temperature Alert - Küche"
    plain, rich = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert rich is not None
    for body in (plain.get_content(), rich.get_content()):
        assert "Küche" in body
        assert "31.2 °C" in body
        assert "https://hub.example/alerts/incidents/inc1" in body
    assert "prefers-color-scheme: dark" in rich.get_content()
    assert not any(word in rich.get_content() for word in ("<img", "<script", "url(", "<link"))
    assert [(one.state, one.to) for one in site.deliveries()] == [("sent", "owner@example.org")]


def test_what_a_device_calls_itself_stays_text_in_a_mail(home: Site, mailbox: Mailbox, port: int) -> None:
    site = by(home, f"smtp://127.0.0.1:{port}")
    site.put(subject="<b>x</b>\r\nBcc: eve@example.org", lines=(replace(LINE, device_name="<img>"),))
    site.send_all()
    [mail] = mailbox.taken
    assert mail["bcc"] is None
    assert mailbox.recipients == ["owner@example.org"]
    rich = mail.get_body(("html",))
    assert rich is not None
    assert "<img>" not in rich.get_content()
    assert "&lt;img&gt;" in rich.get_content()


def test_a_mail_server_that_is_away_for_an_hour_loses_nothing_and_doubles_nothing(home: Site, mailbox: Mailbox) -> None:
    port = free_port()
    site = by(home, f"smtp://127.0.0.1:{port}")
    site.add("mail", "Both", to="ann@example.org, ben@example.org")
    for number in range(3):
        site.put(dedupe=f"notice {number}", subject=f"Notice {number}")
        site.put(dedupe=f"notice {number}", subject=f"Notice {number}")  # told twice by a rule that was interrupted
    for _ in range(60):
        site.send_all()
        site.house.clock.turn(60)
    assert len(site.waiting()) == 6
    assert all(one.state == "waiting" for one in site.deliveries())
    with serving(mailbox, port):
        site.house.clock.turn(300)
        site.send_all()
        site.house.clock.turn(300)
        site.send_all()
    got = sorted((to, str(mail["subject"])) for to, mail in zip(mailbox.recipients, mailbox.taken, strict=True))
    assert got == [(f"{who}@example.org", f"🔴 Notice {n}") for who in ("ann", "ben") for n in range(3)]
    assert len({mail["message-id"] for mail in mailbox.taken}) == 6
    assert site.waiting() == []


def test_what_comes_twice_has_the_same_message_id(home: Site, mailbox: Mailbox, port: int) -> None:
    """The server took it and broke off before it said so: it is sent again, and known by its Message-ID."""
    mailbox.answers["DATA"] = ["break off"]
    site = by(home, f"smtp://127.0.0.1:{port}")
    site.put()
    site.send_all()
    site.house.clock.turn(5)
    site.send_all()
    assert len(mailbox.taken) == 2
    assert len({mail["message-id"] for mail in mailbox.taken}) == 1
    assert [one.state for one in site.deliveries()] == ["sent"]


def test_one_refused_address_keeps_no_other_from_its_mail(home: Site, mailbox: Mailbox, port: int) -> None:
    mailbox.answers["RCPT"] = ["550 no such person here"]
    site = by(home, f"smtp://127.0.0.1:{port}")
    made = site.add("mail", to="ann@example.org ben@example.org")
    site.put()
    site.send_all()
    assert len(mailbox.recipients) == 1
    assert sorted(one.state for one in site.deliveries()) == ["given up", "sent"]
    assert site.channel(made).where == "ann@example.org, ben@example.org"


def test_with_tls_and_a_password(home: Site, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    certificate = self_made_certificate(tmp_path_factory.mktemp("certificate"))
    options = {"tls_context": certificate.context, "require_starttls": True, "auth_required": True}
    login = f"{USER.replace('@', '%40')}:{PASSWORD.replace('@', '%40').replace('/', '%2F')}"
    with serving(mailbox, free_port(), authenticator=only_with_password, **options) as port:
        site = by(home, f"smtp+starttls://{login}@127.0.0.1:{port}?ca={certificate.file}")
        site.put()
        site.send_all()
    with serving(mailbox, free_port(), ssl_context=certificate.context) as port:
        site = by(home, f"smtps://127.0.0.1:{port}?ca={certificate.file}")
        site.put(dedupe="second")
        site.send_all()
    assert mailbox.encrypted[0]
    assert len(mailbox.taken) == 2  # the second server speaks nothing but TLS


def test_without_a_mail_server_it_is_said_so_at_once(home: Site) -> None:
    home.put()
    home.send_all()
    [one] = home.deliveries()
    assert one.state == "given up"
    assert "SMTP_URL" in (one.fault or "")


@pytest.mark.parametrize(
    "to", ["nobody", "a@b@c", "ann@example.org, <script>", ",".join(f"p{n}@x.org" for n in range(21))]
)
def test_an_address_that_no_mail_could_go_to_is_refused(home: Site, to: str) -> None:
    with pytest.raises(Invalid):
        home.add("mail", to=to)
