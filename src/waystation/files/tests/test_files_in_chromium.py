"""Files and packages on a running hub in a real browser: dropped, resumed, looked at, staged, watched, deleted."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Request, Route, expect
from tests.browser import OpenWindow, Window, chromium, open_window, picture, set_up
from tests.hub import Hub, Registered

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000080000000808020000004b6d29dc000000114944415478da63381125871531"
    "0c2d09006d195001de121e340000000049454e44ae426082"
)
SCRIPT = b"<script>document.title='ran'</script><h1>not a page</h1>\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    made = Hub(tmp_path_factory.mktemp("files") / "hub")
    made.start()
    yield made
    made.kill_all()


@pytest.fixture(scope="module")
def cookies(hub: Hub) -> Callable[[Page], None]:
    kept: list[object] = []

    def let_in(page: Page) -> None:
        if kept:
            page.context.add_cookies(kept)  # type: ignore[arg-type]
            return
        set_up(hub, page)
        kept.extend(page.context.cookies())

    return let_in


@pytest.fixture(scope="module")
def thing(hub: Hub) -> Registered:
    return hub.register_device("Greenhouse")


def choose(page: Page, *files: tuple[str, bytes]) -> None:
    payload = [{"name": name, "mimeType": "application/octet-stream", "buffer": content} for name, content in files]
    page.get_by_label("Choose files").set_input_files(payload)  # type: ignore[arg-type]


def test_files_are_uploaded_looked_at_and_deleted(
    hub: Hub, cookies: Callable[[Page], None], open_window: OpenWindow
) -> None:
    window = open_window()
    page = window.page
    cookies(page)
    page.goto(f"{hub.url}/files")
    choose(page, ("page.html", SCRIPT), ("dot.png", PNG), ("большой файл.bin", bytes(range(256)) * 40_000))
    expect(page.get_by_text("Uploaded", exact=True)).to_have_count(3)
    expect(page.get_by_role("link", name="большой файл.bin", exact=True)).to_be_visible()
    picture(page, "files-uploaded")

    page.get_by_role("link", name="page.html", exact=True).click()
    expect(page.get_by_role("region", name="Begin of the text")).to_contain_text(
        "<script>document.title='ran'</script>"
    )
    assert "ran" not in page.title()
    file_id = page.url.rpartition("/")[2]
    answer = page.goto(f"{hub.url}/api/files/{file_id}/preview")
    assert answer is not None
    assert answer.headers["content-type"].startswith("text/plain")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert page.title() != "ran"

    page.goto(f"{hub.url}/files")
    page.get_by_role("link", name="dot.png", exact=True).click()
    shown = page.get_by_role("img", name="dot.png")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.naturalWidth") == 8
    picture(page, "file-picture")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete the file").click()
    expect(page.get_by_text("The file is deleted")).to_be_visible()
    expect(page.get_by_role("link", name="dot.png", exact=True)).to_have_count(0)
    assert window.faults() == []


def test_an_upload_that_was_cut_goes_on_where_it_was(
    hub: Hub, cookies: Callable[[Page], None], open_window: OpenWindow
) -> None:
    """The second of three parts is lost with the network."""
    page = open_window().page
    cookies(page)
    content = bytes(range(256)) * 80_000
    parts: list[str] = []

    def cut(route: Route, request: Request) -> None:
        if request.method == "PATCH":
            parts.append(request.headers["upload-offset"])
        if request.method == "PATCH" and len(parts) == 2:
            route.abort()
        else:
            route.continue_()

    page.route("**/api/uploads/*", cut)
    page.goto(f"{hub.url}/files")
    choose(page, ("cut.bin", content))
    expect(page.get_by_text("Uploaded", exact=True)).to_be_visible()
    assert parts[:3] == ["0", "8388608", "8388608"]
    row = next(one for one in hub.get("/api/files")["files"] if one["name"] == "cut.bin")
    assert row["size_bytes"] == len(content)


def test_a_package_is_made_staged_and_watched(
    hub: Hub, cookies: Callable[[Page], None], open_window: OpenWindow, thing: Registered
) -> None:
    window = open_window()
    page = window.page
    cookies(page)
    page.goto(f"{hub.url}/packages")
    page.get_by_role("button", name="New package").click()
    page.get_by_label("Name").fill("config-12")
    page.get_by_label("Version").fill("12")
    page.get_by_role("button", name="Make the package").click()
    choose(page, ("wifi.json", b'{"ssid": "barn"}'), ("pins.json", b'{"led": 2}'))
    expect(page.get_by_text("In the package", exact=True)).to_have_count(2)
    page.reload()
    page.get_by_role("button", name="Stage it").click()
    page.get_by_role("dialog").get_by_label("Devices", exact=True).select_option(thing.key)
    page.get_by_role("dialog").get_by_role("button", name="Stage it").click()
    expect(page.get_by_text("Each device says below")).to_be_visible()
    expect(page.locator("#deliveries").get_by_text("staged", exact=True)).to_be_visible()

    uid = page.url.partition("?")[0].rpartition("/")[2]
    for state, done in (("deploying", 12), ("deployed", 28)):
        body = {"id": uid, "state": state, "done_bytes": done}
        assert hub.post("/api/packages/report", body, thing.authorization)[0] == 200
        expect(page.locator("#deliveries").get_by_text(state, exact=True)).to_be_visible()
        picture(page, f"package-{state}")
    assert window.faults() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_is_fit_for_everybody(
    hub: Hub, cookies: Callable[[Page], None], open_window: OpenWindow, *, theme: str, width: int
) -> None:
    window: Window = open_window(width=width, color_scheme=theme)
    cookies(window.page)
    files, packages = hub.get("/api/files")["files"], hub.get("/api/packages")["packages"]
    paths = ["/files", "/files?q=nothing", "/packages"]
    paths += [f"/files/{one['id']}" for one in files[:2]] + [f"/packages/{one['id']}" for one in packages[:1]]
    found: list[str] = []
    for number, path in enumerate(paths):
        answer = window.page.goto(f"{hub.url}{path}")
        assert answer is not None
        assert answer.status == 200, path
        picture(window.page, f"files-{number}-{theme}-{width}")
        found += [f"{path}: {fault}" for fault in window.faults() + window.serious_barriers() + window.too_wide()]
    assert found == []
