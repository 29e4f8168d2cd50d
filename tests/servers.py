"""Fixtures with real servers, for every folder's tests: databases, PostgreSQL, NATS, and the hub itself."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.hub import Hub
from tests.nats import ExternalNats, running_nats
from tests.postgresql import Cluster, programs, running_cluster

from waystation.kernel.db import Database, metadata, sqlite_url

StartHub = Callable[..., Hub]

BACKENDS = ("sqlite", pytest.param("postgres", marks=pytest.mark.servers))


def required(found: object, name: str) -> None:
    """A missing server skips a test on somebody's desk and fails it where everything must be tested."""
    if not found and not os.environ.get("CI"):
        pytest.skip(f"{name} is not installed here; `make test` installs it")
    assert found, f"{name} is not installed"


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    required(programs(), "PostgreSQL")
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def postgres_url(postgres_cluster: Cluster) -> Iterator[str]:
    """An empty database, as SQLAlchemy's URL."""
    url = postgres_cluster.new_database()
    yield url
    postgres_cluster.drop(url)


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once of each kind: `-m servers` runs PostgreSQL's turn."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "waystation.db")
    return request.getfixturevalue("postgres_url")


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """With every table that the test's imports declare, once of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "waystation.db"
        path.write_bytes(_sqlite_with(frozenset(metadata.tables)))
        made = Database(sqlite_url(path))
        yield made
        made.close()
        return
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    url = cluster.new_database(cluster.template(metadata))
    made = Database(url)
    yield made
    made.close()
    cluster.drop(url)


@functools.cache
def _sqlite_with(tables: frozenset[str]) -> bytes:
    """A database with these tables and no rows; a copy is made ten times as fast as the tables."""
    with TemporaryDirectory() as folder:
        database = Database(sqlite_url(Path(folder) / "new.db"))
        metadata.create_all(database.engine, [metadata.tables[name] for name in sorted(tables)])
        with database.engine.connect() as connection:
            connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
        database.close()
        return (Path(folder) / "new.db").read_bytes()


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[ExternalNats]:
    """An external NATS as an owner would run it, with auth callout, JetStream and MQTT."""
    with running_nats(tmp_path / "nats") as running:
        yield running


@pytest.fixture
def nats_url(nats: ExternalNats) -> str:
    return nats.url


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[StartHub]:
    """`hub(mqtt=True, environment={…})` starts one, `hub(data=…, start=False)` prepares one; they end with the test."""
    with ExitStack() as stack:

        def prepared(*, data: Path | None = None, start: bool = True, **options: object) -> Hub:
            made = Hub(data or tmp_path / f"hub{len(list(tmp_path.glob('hub*')))}", **options)  # type: ignore[arg-type]
            stack.callback(made.kill_all)
            if start:
                made.start()
            return made

        yield prepared
