"""From a rule to a mail, on a running hub, with a real browser and mail server; and every page in both themes."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser import OpenWindow, chromium, open_window, picture, set_up
from tests.hub import Hub, Registered, free_port

from waystation.alerts.channels.tests.site import receiving
from waystation.kernel.tests.smtp_site import Mailbox, serving

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser
ANN = "ann@example.org"
RULE = "Greenhouse too warm"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def mail_port(mailbox: Mailbox) -> Iterator[int]:
    with serving(mailbox, free_port()) as port:
        yield port


@pytest.fixture
def hub(tmp_path: Path, mail_port: int) -> Iterator[Hub]:
    here = {"WAYSTATION_WEBHOOK_PRIVATE_NETWORKS": "127.0.0.0/8"}
    mails = {"SMTP_URL": f"smtp://127.0.0.1:{mail_port}", "WAYSTATION_MAIL_FROM": "Hub <hub@example.org>"}
    made = Hub(tmp_path / "hub", environment={**here, **mails})
    made.environment["WAYSTATION_PUBLIC_URL"] = made.url
    made.start()
    yield made
    made.kill_all()


def until(is_so: Callable[[], object], words: str) -> None:
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline, f"not within 30 s: {words}"
        time.sleep(0.05)


def send(hub: Hub, thing: Registered, celsius: float) -> None:
    assert hub.post("/api/readings", {"values": {"temp_inside_c": celsius}}, thing.authorization)[0] == 200


def make_the_rule(page: Page, hub: Hub, thing: Registered) -> None:
    page.goto(f"{hub.url}/alerts/rules")
    page.get_by_role("link", name="New rule").click()
    page.get_by_role("link", name=re.compile("too high")).click()
    page.get_by_label("Name").fill(RULE)
    page.get_by_label("Metric").fill("temp_inside_c")
    page.get_by_label("At or above").fill("30")
    page.get_by_label(re.compile("Over again")).fill("28")
    page.get_by_role("radio", name="One device").check()
    page.get_by_label(re.compile("device's key")).fill(thing.key)
    page.get_by_role("button", name=re.compile("Test on")).click()
    expect(page.get_by_text("It would have fired 1 time")).to_be_visible()
    picture(page, "rule-tested")
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_text("The rule is made")).to_be_visible()
    picture(page, "rules")


def test_a_rule_is_made_and_what_it_finds_is_mailed_and_acknowledged(
    hub: Hub, open_window: OpenWindow, mailbox: Mailbox
) -> None:
    window = open_window()
    page = window.page
    set_up(hub, page)
    thing = hub.register_device("Greenhouse")
    for celsius in (24, 31, 27, 26):
        send(hub, thing, celsius)
    make_the_rule(page, hub, thing)
    for celsius in (29, 30.5, 31.2):
        send(hub, thing, celsius)
    until(lambda: mailbox.taken, "the mail")
    [mail] = mailbox.taken
    assert mailbox.recipients == [ANN]
    assert RULE in str(mail["subject"])
    rich = mail.get_body(("html",))
    assert rich is not None
    link = re.search(r'href="(http://[^"]+/alerts/incidents/[^"]+)"', rich.get_content())
    assert link is not None

    page.goto(f"{hub.url}/devices")
    waiting = page.get_by_role("navigation", name="Main").get_by_role("link", name="Alerts 1 open")
    expect(waiting).to_be_visible()
    picture(page, "waiting")
    waiting.click()
    expect(page.get_by_role("region", name="Open incidents").get_by_role("link", name=RULE)).to_be_visible()
    picture(page, "incidents")
    told = page.get_by_role("region", name="Who was told")
    until(lambda: page.goto(link[1]) and told.get_by_text("sent", exact=True).is_visible(), "that it was sent")
    expect(page.get_by_role("heading", name=RULE)).to_be_visible()
    page.get_by_label("Note").fill("Opened the roof.")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Opened the roof.")).to_be_visible()
    expect(page.locator(".nav-count")).to_have_count(0)
    picture(page, "incident")
    send(hub, thing, 25)
    until(lambda: len(mailbox.taken) == 2, "the mail of the recovery")
    assert "Recovered" in str(mailbox.taken[1]["subject"])
    page.goto(f"{hub.url}/alerts")
    expect(page.get_by_text("Nothing is wrong")).to_be_visible()
    expect(page.get_by_role("region", name="History").get_by_role("link", name=RULE)).to_be_visible()
    shown = open_window(width=600).page  # as a mail program shows it
    shown.set_content(rich.get_content())
    expect(shown.get_by_role("heading", name=RULE)).to_be_visible()
    picture(shown, "mail")
    assert window.errors == []


def test_channels_are_added_tried_and_removed(hub: Hub, open_window: OpenWindow) -> None:
    window = open_window(width=390)
    page = window.page
    set_up(hub, page)
    with receiving() as receiver:
        page.goto(f"{hub.url}/alerts/channels")
        page.get_by_role("link", name=re.compile("^Webhook")).click()
        page.get_by_label("Address").fill("http://169.254.169.254/")
        page.get_by_role("button", name="Add the channel").click()
        expect(page.get_by_role("alert")).to_contain_text("no address on the internet")
        page.get_by_label("Address").fill(f"{receiver.url}/T0P")
        page.get_by_role("button", name="Add the channel").click()
        expect(page.get_by_text("Copy this now")).to_be_visible()
        secret = page.locator("#once-secret").inner_text()
        assert secret.startswith("whsec_")
        page.get_by_role("button", name="Send a test by Webhook").click()
        until(lambda: receiver.taken, "the test")
        notices = page.get_by_role("region", name="Last notices")
        channels = f"{hub.url}/alerts/channels"
        until(lambda: page.goto(channels) and notices.get_by_text("sent", exact=True).is_visible(), "what became of it")
        assert secret not in page.content()
        assert "T0P" not in page.content()
        picture(page, "channels-390")
        page.get_by_role("button", name="Change Webhook").click()
        page.get_by_role("dialog").get_by_label("Name").fill("Kitchen screen")
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        receiver.answers = [(410, {}, b"")]
        page.get_by_role("button", name="Send a test by Kitchen screen").click()
        until(lambda: len(receiver.taken) == 2, "the second test, with the kept address and secret")
        until(lambda: page.goto(page.url) and notices.get_by_text("given up", exact=True).is_visible(), "the refusal")
        picture(page, "given-up-390")
        notices.get_by_role("button", name="Send again").click()
        expect(page.get_by_text("The notice is on its way once more")).to_be_visible()
        until(lambda: len(receiver.taken) == 3, "the same notice again")
    page.goto(f"{hub.url}/alerts/channels")
    page.get_by_role("button", name="Change Kitchen screen").click()
    page.get_by_role("button", name="Remove the channel").click()
    expect(page.get_by_text("The channel is removed")).to_be_visible()
    assert [said for said in window.errors if "400 (Bad Request)" not in said] == []  # the refused address


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1280, "light")])
def test_every_page_is_sound(hub: Hub, open_window: OpenWindow, width: int, theme: str) -> None:
    window = open_window(width=width, color_scheme=theme)
    page = window.page
    set_up(hub, page)
    thing = hub.register_device("Greenhouse behind the old lighthouse")
    make_the_rule_by_api(hub)
    for celsius in (29, 30.5, 31.2):
        send(hub, thing, celsius)
    until(lambda: hub.get("/api/alerts/incidents")["incidents"], "the incident")
    uid = hub.get("/api/alerts/incidents")["incidents"][0]["uid"]
    rule = hub.get("/api/alerts/rules")["rules"][0]["uid"]
    kinds = ("above", "rises", "silent", "text", "is", "fault")
    paths = {"incidents": "", "incident": f"/incidents/{uid}", "rules": "/rules", "rule": f"/rules/{rule}"}
    paths |= {"kinds": "/rules/new", "channels": "/channels", "ntfy": "/channels?kind=ntfy"}
    paths |= {f"rule-{kind}": f"/rules/new?kind={kind}" for kind in kinds}
    found: list[str] = []
    for name, path in paths.items():
        answer = page.goto(f"{hub.url}/alerts{path}")
        assert answer is not None
        assert answer.status == 200, name
        picture(page, f"{name}-{theme}-{width}")
        found += [f"{name}: {fault}" for fault in window.faults() + window.serious_barriers() + window.too_wide()]
    assert found == []


def make_the_rule_by_api(hub: Hub) -> None:
    body = {"name": RULE, "metric": "temp_inside_c", "when": {"kind": "above", "threshold": 30}, "severity": "critical"}
    assert hub.post("/api/alerts/rules", body, f"Bearer {hub.token}")[0] == 201


def test_the_forms_work_without_a_script(hub: Hub, open_window: OpenWindow) -> None:
    with_scripts, without = open_window(), open_window(java_script_enabled=False)
    set_up(hub, with_scripts.page)
    without.page.context.add_cookies(with_scripts.page.context.cookies())  # type: ignore[arg-type]
    thing = hub.register_device("Greenhouse")
    send(hub, thing, 31)
    page: Page = without.page
    page.goto(f"{hub.url}/alerts/rules/new?kind=silent")
    page.get_by_label("Name").fill("Nothing heard")
    page.get_by_label(re.compile("Nothing for")).fill("10")
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_text("The rule is made")).to_be_visible()
    page.get_by_role("button", name=re.compile("Switch off Nothing heard")).click()
    expect(page.get_by_text("The rule is switched off")).to_be_visible()
