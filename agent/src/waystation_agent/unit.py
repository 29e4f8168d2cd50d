"""The text of the systemd unit: a service that may do what sampling and sending need, and nothing else (JR-A22)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NAME = "waystation-agent.service"
REBOOT_PATH, REBOOT_SERVICE = "waystation-agent-reboot.path", "waystation-agent-reboot.service"
REBOOT_FILE = "reboot.wanted"
REBOOT_VARIABLE = "WAYSTATION_AGENT_REBOOT"
BY_FILE = "by file"
MARK = "# Written by `waystation-agent install-service`; run that again to change it. Settings of yours: in a drop-in."
STATE = "waystation-agent"
ENVIRONMENT_FILE = "/etc/default/waystation-agent"
TIME_SECONDS = 30
BACK_OFF_FROM = 254
"""The systemd that can wait longer after each restart in a row; older ones wait the same time always."""

HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 they are hidden from the service, not used


@dataclass(frozen=True)
class Installation:
    """What is particular to this machine."""

    command: tuple[str, ...]
    """How this very agent is started, up to its subcommand."""
    folders: tuple[str, ...] = ()
    """Where program and interpreter lie, and what sensors must see."""
    writable: tuple[str, ...] = ()
    """What packages and scripts must be able to change."""
    may_reboot: bool = False
    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    period_seconds: float | None = None
    systemd_version: int = 0


Setting = tuple[str, str]


def system_unit(wanted: Installation) -> str:
    service = [
        *_running(wanted, ()),
        ("EnvironmentFile", f"-{ENVIRONMENT_FILE}"),
        ("DynamicUser", "yes"),
        ("StateDirectory", STATE),
        ("StateDirectoryMode", "0700"),
        *([("Environment", f'"{REBOOT_VARIABLE}={BY_FILE}"')] if wanted.may_reboot else []),
        *_processes(),
        *_files(wanted),
        *_devices(wanted),
        *_kernel(),
    ]
    return _agents(service, "multi-user.target")


def reboot_units() -> dict[str, str]:
    """Return the units that reboot the machine for a service that has no right to: it can only lay down a file."""
    # Where the state of a service with a dynamic user really lies, links aside.
    file = f"/var/lib/private/{STATE}/{REBOOT_FILE}"
    watching = [("Description", "Waits for the Waystation agent to ask for a reboot")]
    rebooting = [("Description", "Reboots, as the Waystation agent has asked")]
    acts = [("Type", "oneshot"), ("ExecStart", f"/bin/rm {file}"), ("ExecStart", "systemctl --no-block reboot")]
    return {
        REBOOT_PATH: _text(
            {"Unit": watching, "Path": [("PathExists", file)], "Install": _wanted_by("multi-user.target")}
        ),
        REBOOT_SERVICE: _text({"Unit": rebooting, "Service": acts}),
    }


def user_unit(wanted: Installation, folder: str) -> str:
    """Only what a person's own service manager can enforce without rights: no private view of the file system."""
    service = [*_running(wanted, ("--data", folder)), *_processes()]
    return _agents(service, "default.target")


def _running(wanted: Installation, options: tuple[str, ...]) -> list[Setting]:
    period = ("--period", f"{wanted.period_seconds:g}") if wanted.period_seconds else ()
    longer = [("RestartSteps", "6"), ("RestartMaxDelaySec", "300")] if wanted.systemd_version >= BACK_OFF_FROM else []
    return [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("ExecStartPre", "-" + command_line((*wanted.command, "wait-for-time", "--most", str(TIME_SECONDS)))),
        ("ExecStart", command_line((*wanted.command, "run", *options, *period))),
        ("TimeoutStartSec", str(TIME_SECONDS + 60)),
        ("TimeoutStopSec", "30"),
        ("WatchdogSec", "180"),
        ("KillMode", "mixed"),
        ("Restart", "always"),
        ("RestartSec", "5"),
        *longer,
        ("RestartPreventExitStatus", "2"),
        ("StandardOutput", "journal"),
        ("StandardError", "journal"),
        ("SyslogIdentifier", STATE),
    ]


def _processes() -> list[Setting]:
    return [
        ("UMask", "0077"),
        ("TasksMax", "64"),
        ("NoNewPrivileges", "yes"),
        ("LockPersonality", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ("RestrictNamespaces", "yes"),
        ("RestrictRealtime", "yes"),
        ("RestrictSUIDSGID", "yes"),
        ("SystemCallArchitectures", "native"),
        ("SystemCallFilter", "@system-service"),
        ("SystemCallFilter", "~@privileged @resources"),
        ("SystemCallErrorNumber", "EPERM"),
    ]


def _files(wanted: Installation) -> list[Setting]:
    seen = [folder for folder in wanted.folders if f"{folder}/".startswith(HIDDEN)]
    return [
        ("ProtectSystem", "strict"),
        ("ProtectHome", "tmpfs" if any(not folder.startswith(HIDDEN[3:]) for folder in seen) else "yes"),
        ("PrivateTmp", "yes"),
        *(("BindReadOnlyPaths", f"-{path_word(folder)}") for folder in _outermost(seen)),
        *(("ReadWritePaths", f"-{path_word(folder)}") for folder in _outermost(wanted.writable)),
    ]


def _outermost(folders: Sequence[str]) -> list[str]:
    return [one for one in sorted(set(folders)) if not any(one.startswith(f"{other}/") for other in folders)]


def _devices(wanted: Installation) -> list[Setting]:
    """Private users have no groups, so who needs some has none."""
    groups = [("SupplementaryGroups", " ".join(wanted.groups))] if wanted.groups else []
    if not wanted.devices:
        return [("PrivateDevices", "yes"), *(groups or [("PrivateUsers", "yes")])]
    return [
        ("DevicePolicy", "closed"),
        *(("DeviceAllow", f"{path_word(device)} rw") for device in sorted(set(wanted.devices))),
        *groups,
    ]


def _kernel() -> list[Setting]:
    # Not ProcSubset=pid: the machine's own figures are read from /proc.
    return [
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("KeyringMode", "private"),
        ("ProtectClock", "yes"),
        ("ProtectControlGroups", "yes"),
        ("ProtectHostname", "yes"),
        ("ProtectKernelLogs", "yes"),
        ("ProtectKernelModules", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectProc", "invisible"),
        ("RemoveIPC", "yes"),
    ]


def _agents(service: Sequence[Setting], wanted_by: str) -> str:
    unit = [
        ("Description", "Waystation agent: samples this machine for its hub"),
        ("After", "network.target"),
        ("StartLimitIntervalSec", "0"),
    ]
    return _text({"Unit": unit, "Service": service, "Install": _wanted_by(wanted_by)})


def _wanted_by(target: str) -> list[Setting]:
    return [("WantedBy", target)]


def _text(sections: Mapping[str, Sequence[Setting]]) -> str:
    parts = [f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in held) for name, held in sections.items()]
    return f"{MARK}\n" + "\n".join(parts)


def command_line(words: Sequence[str]) -> str:
    return " ".join(path_word(word.replace("$", "$$")) for word in words)


def path_word(text: str) -> str:
    """Quote one word so that systemd reads it back as it is (systemd.syntax(7))."""
    text = text.replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"' if not text or any(character in " \t';" for character in text) or "\\" in text else text
