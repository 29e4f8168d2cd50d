from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.browser import chromium, open_window, serving

from waystation.web.tests.preview import Preview

__all__ = ["chromium", "open_window"]


@dataclass
class Shown:
    url: str
    preview: Preview


@pytest.fixture
def shown() -> Iterator[Shown]:
    preview = Preview()
    with serving(preview.app) as url:
        yield Shown(url, preview)
