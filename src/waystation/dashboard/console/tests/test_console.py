"""The console through its forms: who may send, to whom, and what the pages say of it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.site import Answer, Site, Somebody, Thing, standing_site

from waystation import commands
from waystation.commands import State
from waystation.homes import Home, Role


class Console:
    """A home with an owner, a viewer, a stranger and two devices."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.home: Home = site.home()
        self.owner = site.somebody(self.home)
        self.viewer = site.somebody(self.home, Role.VIEWER)
        self.stranger = site.somebody(site.home("Elsewhere"))
        self.porch, self.hall = site.device(self.home, "Porch"), site.device(self.home, "Hall")

    def page(self, who: Somebody, path: str) -> Answer:
        return self.site.ask("GET", path, accept="text/html", **who.browser)

    def press(self, who: Somebody, path: str, **typed: str) -> Answer:
        return self.site.ask("POST", path, body=urlencode(typed).encode(), accept="text/html", **who.browser)

    def send(self, who: Somebody | None = None, **typed: str) -> Answer:
        return self.press(who or self.owner, "/commands", **{"to": f"device:{self.porch.key}", "name": "ping", **typed})

    def take(self, thing: Thing) -> commands.Command | None:
        with self.site.database.write() as tx:
            return commands.take(tx, thing.id, self.site.clock.now(), link="poll")

    def finish(self, thing: Thing, uid: str, state: State, result: object = None) -> None:
        with self.site.database.write() as tx:
            commands.finish(tx, thing.id, self.site.clock.now(), uid=uid, state=state, result=result)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Console]:
    with standing_site(tmp_path) as site:
        yield Console(site)


def text(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return answer.body.decode()


def test_a_command_is_sent_and_its_page_tells_what_became_of_it(at: Console) -> None:
    sent = at.send(name="set-interval", parameters='{"seconds": 30}')
    assert sent.status == 303
    where = sent.headers["location"].partition("?")[0]
    assert "Waiting" in text(at.page(at.owner, where))
    given = at.take(at.porch)
    assert given is not None
    assert (given.name, given.parameters) == ("set-interval", {"seconds": 30})
    assert "Handed to the device" in text(at.page(at.viewer, where))
    at.finish(at.porch, given.uid, State.DONE, {"was": 60})
    shown = text(at.page(at.viewer, where))
    assert "&#34;was&#34;: 60" in shown
    assert "Cancel it" not in shown


def test_a_viewer_sees_and_cannot_send_and_a_stranger_sees_nothing(at: Console) -> None:
    where = at.send().headers["location"].partition("?")[0]
    assert at.send(at.viewer).status == 403
    assert at.press(at.viewer, f"{where}/cancel").status == 403
    shown = text(at.page(at.viewer, "/commands"))
    assert "Send a command" not in shown
    assert "ping" in shown
    assert at.page(at.stranger, where).status == 404
    assert at.press(at.stranger, f"{where}/cancel").status == 404
    assert at.send(at.stranger).status == 400  # the device is not in their home


def test_one_for_the_whole_home_shows_how_far_it_is_and_what_failed_is_sent_again(at: Console) -> None:
    where = at.send(to="home").headers["location"].partition("?")[0]
    assert where.startswith("/commands/batches/")
    first, second = at.take(at.porch), at.take(at.hall)
    assert first is not None
    assert second is not None
    at.finish(at.porch, first.uid, State.DONE)
    at.finish(at.hall, second.uid, State.FAILED, "no sensor")
    shown = text(at.page(at.viewer, where))
    assert "1 done, 1 failed" in shown
    assert "no sensor" in shown
    assert at.press(at.owner, f"{where}/retry").status == 303
    assert at.take(at.porch) is None
    assert at.take(at.hall) is not None


def test_a_second_press_of_the_same_form_sends_nothing_twice(at: Console) -> None:
    first, second = (at.send(once="1764-abc").headers["location"] for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"to": ""}, "Choose who shall do it"),
        ({"to": "device:nobody22"}, "There is no device"),
        ({"name": "a b"}, "A command&#39;s name"),
        ({"parameters": "[1]"}, "Parameters are a JSON object"),
        ({"parameters": "{"}, "Parameters are a JSON object"),
        ({"priority": "11"}, "Choose a priority"),
        ({"lifetime": "-1"}, "Choose a priority"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence_and_nothing_is_sent(
    at: Console, typed: dict[str, str], sentence: str
) -> None:
    refused = at.send(**typed)
    assert refused.status == 400
    assert sentence in refused.body.decode()
    assert at.take(at.porch) is None


def test_a_cancelled_command_is_never_handed_out(at: Console) -> None:
    where = at.send().headers["location"].partition("?")[0]
    assert at.press(at.owner, f"{where}/cancel").status == 303
    assert at.take(at.porch) is None
    assert "Cancelled" in text(at.page(at.owner, where))
    assert "ping" in text(at.page(at.owner, "/commands?state=cancelled"))
    assert "No commands" in text(at.page(at.owner, f"/commands?device={at.hall.key}"))


def test_a_device_gets_tags_on_its_page_and_a_tag_is_whom_to_ask(at: Console) -> None:
    where = f"/devices/{at.porch.key}"
    typed = {"name": "Porch", "model": "", "tags": "Roof, batch-7"}
    assert at.press(at.owner, f"{where}/rename", **typed).status == 303
    assert '<span class="tag">batch-7</span>' in text(at.page(at.viewer, where))
    refused = at.press(at.owner, f"{where}/rename", **{**typed, "tags": "a/b"})
    assert refused.status == 400
    assert "A tag is one word" in refused.body.decode()
    assert at.send(to="tag:roof").status == 303
    assert at.take(at.porch) is not None
    assert at.take(at.hall) is None
    assert at.press(at.owner, f"{where}/rename", name="Porch", model="", tags="").status == 303
    assert "batch-7" not in text(at.page(at.viewer, where))
