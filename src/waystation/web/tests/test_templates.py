"""Every page renders from its documented context, and nothing that a device says becomes markup."""

import pytest

from waystation.web.tests.preview import Preview
from waystation.web.tests.samples import PAGES, device, pi

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


@pytest.fixture(scope="module")
def preview() -> Preview:
    return Preview()


def text_of(preview: Preview, path: str) -> str:
    template, context = PAGES[path]
    return preview.environment.get_template(template).render(context())


@pytest.mark.parametrize("path", PAGES)
def test_a_page_renders_and_is_one_document(preview: Preview, path: str) -> None:
    text = text_of(preview, path)
    assert text.startswith("<!doctype html>")
    assert text.count("<h1") == 1
    assert text.count('id="main"') == 1


@pytest.mark.parametrize("path", PAGES)
def test_every_form_that_changes_something_carries_the_token(preview: Preview, path: str) -> None:
    text = text_of(preview, path)
    assert text.count('method="post"') == text.count('name="csrf"')


def test_a_name_is_never_markup(preview: Preview) -> None:
    hostile = pi()
    hostile.name = hostile.model = hostile.serial = HOSTILE
    hostile.values[-1].value = HOSTILE
    text = preview.environment.get_template("dashboard/device.html").render(device(hostile))
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_a_device_without_values_says_what_to_do_next(preview: Preview) -> None:
    assert "Waiting for the first reading" in text_of(preview, "/devices/p4q5r6s7")
    assert "Add the first device" in text_of(preview, "/empty")


def test_the_list_shows_percentages_and_temperatures_before_words(preview: Preview) -> None:
    values = [
        {"metric": name, "kind": kind} for name, kind in (("mode", "text"), ("load", "number"), ("room_c", "number"))
    ]
    ordered = preview.environment.from_string("{{ values|main_first|map(attribute='metric')|join(' ') }}")
    assert ordered.render(values=values) == "room_c load mode"
