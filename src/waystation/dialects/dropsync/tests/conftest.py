import itertools
from collections.abc import Iterator

import pytest
from tests.site import Site, standing_site

from waystation.dialects.dropsync.tests.standing import Drop
from waystation.kernel.clock import micros
from waystation.kernel.limits import Limiter

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with standing_site(tmp_path_factory.mktemp("dropsync")) as made:
        yield made


@pytest.fixture
def drop(site: Site) -> Drop:
    """A home of its own, with an administrator; nobody's limits are used up."""
    site.parts.put(Limiter, Limiter(now=lambda: micros(site.clock.now())))
    return Drop(site, site.home(f"Farm {next(NUMBERS)}"))
