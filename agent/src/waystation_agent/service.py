"""Installs this agent as a systemd service of the machine or of one person, and removes it again."""

import os
import re
import site
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from waystation_agent import unit
from waystation_agent.errors import Fault
from waystation_agent.folder import Folder, default_folder, sync_folder
from waystation_agent.hub_work import Wanted
from waystation_agent.sensors.config import Configured, load

SYSTEM_FOLDER = Path("etc/systemd/system")
SYSTEM_STATE = f"/var/lib/{unit.STATE}"
SYSTEMCTL_SECONDS = 180


@dataclass(frozen=True)
class Place:
    """Where a service is installed: on this machine, for this person, or in the file system of an image."""

    root: Path = Path("/")
    is_users: bool = False

    @property
    def path(self) -> Path:
        if self.is_users:
            config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
            return Path(config) / "systemd/user" / unit.NAME
        return self.root / SYSTEM_FOLDER / unit.NAME

    @property
    def is_image(self) -> bool:
        return self.root != Path("/")

    @property
    def state(self) -> Folder:
        if self.is_users:
            return default_folder(os.environ)
        return Folder(self.root / SYSTEM_STATE.lstrip("/"))

    def is_ours(self) -> bool:
        with suppress(OSError):
            return self.path.read_text(errors="replace").startswith(unit.MARK)
        return False


def is_systemd_running() -> bool:
    return Path("/run/systemd/system").is_dir()


def systemctl(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    where = ["--user"] if place.is_users else ([f"--root={place.root}"] if place.is_image else [])
    try:
        return subprocess.run(  # noqa: S603 a fixed program with our own words
            [which("systemctl") or "systemctl", *where, *words],
            capture_output=True,
            text=True,
            timeout=SYSTEMCTL_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise Fault("there is no systemctl here; `install-service --print` shows the unit") from error
    except subprocess.TimeoutExpired as error:
        raise Fault(f"systemctl {words[0]} did not end within {SYSTEMCTL_SECONDS} s") from error


def systemd_version() -> int:
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S607
        if found := re.search(r"systemd (\d+)", said.stdout):
            return int(found[1])
    return 0


# What the unit says about this machine


def unit_text(place: Place, period_seconds: float | None = None, data: Folder | None = None) -> str:
    """Return the unit for the agent that runs this code. Raises BadInput for an agent.toml that cannot be used."""
    state = data or place.state
    sensors, hubs = load(state.sensors), Wanted.load(state)
    writable = _writable(hubs, state.packages.absolute())
    groups = (*_of(sensors, "groups"), *_sharing(writable))
    wanted = unit.Installation(
        command=(sys.executable, "-P", "-m", "waystation_agent"),
        folders=(*_own_folders(), *_of(sensors, "paths"), *_paths(hubs)),
        writable=writable,
        may_reboot=hubs.askable.allowed.reboot,
        devices=_of(sensors, "devices"),
        groups=tuple(group for group in dict.fromkeys(groups) if _exists(group)),
        period_seconds=period_seconds,
        systemd_version=systemd_version(),
    )
    return unit.user_unit(wanted, str(state.path)) if place.is_users else unit.system_unit(wanted)


def _of(sensors: Iterable[Configured], attribute: str) -> tuple[str, ...]:
    return tuple(str(one) for sensor in sensors for one in getattr(sensor.sensor, attribute, ()))


def _paths(hubs: Wanted) -> tuple[str, ...]:
    """Return what scripts and the checks of packages start."""
    checks = [
        word for manner in hubs.deploying.manners.values() for word in (*manner.after, *manner.check) if word[:1] == "/"
    ]
    return (*(path for script in hubs.askable.scripts.values() for path in script.paths), *checks)


def _writable(hubs: Wanted, own: Path) -> tuple[str, ...]:
    elsewhere = [manner.path for manner in hubs.deploying.manners.values() if not Path(manner.path).is_relative_to(own)]
    return (*elsewhere, *(folder for script in hubs.askable.scripts.values() for folder in script.writes))


def _sharing(folders: Iterable[str]) -> Iterator[str]:
    """Return the groups that may write to these folders: the service has a number of its own, so it joins them."""
    import grp  # noqa: PLC0415  seldom asked

    for folder in folders:
        with suppress(OSError, KeyError):
            found = Path(folder).stat()
            if found.st_mode & 0o020:
                yield grp.getgrgid(found.st_gid).gr_name


def _own_folders() -> tuple[str, ...]:
    found = find_spec("waystation_agent")
    package = str(Path(str(found.origin)).parent.parent) if found else ""
    return tuple(dict.fromkeys((sys.prefix, sys.base_prefix, package)))


def _exists(group: str) -> bool:
    import grp  # noqa: PLC0415  seldom asked

    with suppress(KeyError):
        return bool(grp.getgrnam(group))
    return False


def _refuse_what_a_service_cannot_reach() -> None:
    for folder in _own_folders():
        if f"{folder}/".startswith("/root/"):
            raise Fault(f"the agent is in {folder}, which only root can read; install it elsewhere, such as /opt")
        if folder == site.getusersitepackages():
            raise Fault(f"the agent is in {folder}, which only you see; install it in a virtual environment")


# Install and remove


def install(place: Place, text: str) -> str:
    """Write, enable and start. What failed half-way is undone. Returns what a person should know next."""
    if not place.is_users:
        _refuse_what_a_service_cannot_reach()
    if place.path.exists() and not place.is_ours():
        raise Fault(f"{place.path} is not from this command, so it stays as it is; remove it first")
    if not (place.is_image or is_systemd_running()):
        raise Fault("no systemd runs here (a container?), so nothing was installed; --print shows the unit")
    before = place.path.read_text() if place.path.exists() else None
    _write(place.path, text)
    _write_reboot_units(place, text)
    try:
        _enable(place)
    except Fault:
        _put_back(place, before)
        raise
    return _next_steps(place)


def _write_reboot_units(place: Place, text: str) -> None:
    """Beside a unit that may ask for reboots lie those that carry them out; beside another they do not."""
    may_reboot = unit.REBOOT_VARIABLE in text
    for name, content in unit.reboot_units().items():
        path = place.path.with_name(name)
        if may_reboot:
            _write(path, content)
        elif path.exists():
            _disable(place, name)
            path.unlink()


def _enable(place: Place) -> None:
    names = [unit.NAME, *([unit.REBOOT_PATH] if place.path.with_name(unit.REBOOT_PATH).exists() else [])]
    steps = [("enable", *names)] if place.is_image else [("daemon-reload",), ("enable", *names), ("restart", *names)]
    for step in steps:
        done = systemctl(place, *step)
        if done.returncode:
            raise Fault(f"systemctl {step[0]} failed, so nothing was installed: {done.stderr.strip()[:500]}")


def _put_back(place: Place, before: str | None) -> None:
    if before is None:
        uninstall(place)
        return
    _write(place.path, before)
    systemctl(place, "daemon-reload")
    systemctl(place, "restart", unit.NAME)


def uninstall(place: Place) -> str:
    """Stop, disable and remove what `install` made; what the agent has saved stays."""
    if not place.is_ours():
        raise Fault(f"{place.path} is not there, or not from install-service; nothing was removed")
    if place.is_image or is_systemd_running():
        _disable(place, unit.NAME)
    _write_reboot_units(place, "")
    place.path.unlink()
    sync_folder(place.path.parent)
    if not place.is_image and is_systemd_running():
        systemctl(place, "daemon-reload")
        systemctl(place, "reset-failed", unit.NAME)
    return f"Removed {place.path}. What the agent has saved stays in {place.state.path}."


def _disable(place: Place, name: str) -> None:
    systemctl(place, "disable", *([] if place.is_image else ["--now"]), name)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(path)
    sync_folder(path.parent)


def _next_steps(place: Place) -> str:
    if place.is_image:
        return f"Installed in the image as {place.path}; it starts when the image does."
    sudo, user = ("", " --user") if place.is_users else ("sudo ", "")
    agent = f"{sudo}{sys.executable} -m waystation_agent"
    data = "" if place.is_users else f" --data {SYSTEM_STATE}"
    lines = [
        f"Installed {place.path}; it runs now and from every start on.",
        f"  pair it:   {agent} pair CODE --server http://hub.local:8000{data}",
        f"  look:      {agent} status --watch{data}",
        f"  its log:   journalctl{user} -u {unit.NAME} -f",
    ]
    if place.is_users:
        lines.append("  also while nobody is signed in:  loginctl enable-linger")
    return "\n".join(lines)
