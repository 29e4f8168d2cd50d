"""A PostgreSQL of the test run's own: a temporary cluster behind a unix socket, a fresh database for every test."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

START_SECONDS = 30
FAST_AND_FORGETFUL = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=80",
)


@cache
def programs() -> Path | None:
    """The newest installed version's folder of `initdb` and `postgres`; Debian keeps it off the path."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    return versions[-1] if versions else Path(found).resolve().parent if found else None


class Cluster:
    """Its server refuses to run as root, so root runs it as another user."""

    def __init__(self, folder: Path, options: tuple[str, ...] = FAST_AND_FORGETFUL) -> None:
        self._folder = folder
        self._options = options
        self._as_user: dict[str, Any] = {}
        self._made = 0
        self._templates: dict[frozenset[str], str] = {}
        if os.geteuid() == 0:
            user = _unprivileged()
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def start(self) -> None:
        bin_folder = programs()
        assert bin_folder
        data = self._folder / "cluster"
        initdb = [
            bin_folder / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, capture_output=True, cwd=self._folder, **self._as_user)
        options = [word for option in self._options for word in ("-c", option)]
        with (self._folder / "log").open("wb") as log:
            self._server = subprocess.Popen(
                [bin_folder / "postgres", "-D", data, "-k", self._folder, *options],
                cwd=self._folder, stdout=log, stderr=log, **self._as_user,
            )  # fmt: skip
        self._wait()

    def stop(self) -> None:
        self._server.send_signal(signal.SIGINT)
        self._server.wait(timeout=20)

    def new_database(self, template: str = "template1") -> str:
        """Its URL."""
        self._made += 1
        name = f"test{self._made}"
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return self.url(name)

    def template(self, metadata: sa.MetaData) -> str:
        """A database with these tables and no rows, made once: copies of it are made much faster."""
        tables = frozenset(metadata.tables)
        if tables not in self._templates:
            url = self.new_database()
            engine = sa.create_engine(url)
            metadata.create_all(engine)
            engine.dispose()
            self._templates[tables] = f"test{self._made}"
        return self._templates[tables]

    def drop(self, url: str) -> None:
        name = url.split("/")[3].split("?", maxsplit=1)[0]
        with self._connect() as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres", autocommit=True)

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return


def _unprivileged() -> pwd.struct_passwd:
    names = {user.pw_name for user in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


@contextmanager
def running_cluster(options: tuple[str, ...] = FAST_AND_FORGETFUL) -> Iterator[Cluster]:
    """Not in pytest's own folders, which are closed to the user that the server runs as."""
    folder = Path(tempfile.mkdtemp(prefix="waystation-pg-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    cluster = Cluster(folder, options)
    try:
        cluster.start()
        yield cluster
        cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
