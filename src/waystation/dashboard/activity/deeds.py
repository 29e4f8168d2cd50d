"""What of the audit log every member may see, under which kind and in which words. The rest is for admins, there."""

from collections.abc import Mapping

from waystation.dashboard.activity.model import Kind

BY_KIND: Mapping[Kind, Mapping[str, str]] = {
    Kind.DEVICE: {
        "registered a device": "registered the device",
        "claimed": "joined with a claim code",
        "approved a device": "approved the device",
        "adopted a device": "adopted the device",
        "released a device": "released the device",
        "renamed a device": "renamed the device",
        "disabled a device": "disabled the device",
        "enabled a device": "enabled the device",
        "deleted a device": "deleted the device",
        "imported readings": "imported readings",
        "asked to delete readings": "asked to delete readings",
    },
    Kind.COMMAND: {"cancelled a command": "cancelled a command for"},
    Kind.FILE: {"deleted a file": "deleted the file"},
    Kind.PACKAGE: {
        "made a package": "made the package",
        "staged a package": "staged the package",
        "cancelled a package": "cancelled the package",
        "deleted a package": "deleted the package",
    },
    Kind.ALERT: {
        "add alert rule": "added the alert rule",
        "change alert rule": "changed the alert rule",
        "delete alert rule": "deleted the alert rule",
        "enable alert rule": "switched on the alert rule",
        "disable alert rule": "switched off the alert rule",
        "mute alert rule": "muted the alert rule",
        "unmute alert rule": "unmuted the alert rule",
        "acknowledge incident": "has seen the incident",
    },
    Kind.PEOPLE: {
        "added a member": "added",
        "changed a role": "changed the role of",
        "removed a member": "removed",
        "left a home": "left the home",
        "invited somebody": "invited",
        "took an invitation back": "took an invitation back",
        "accepted an invitation": "accepted an invitation",
        "made a home": "made the home",
        "renamed a home": "renamed the home to",
    },
}
DEEDS: Mapping[str, tuple[Kind, str]] = {
    did: (kind, words) for kind, deeds in BY_KIND.items() for did, words in deeds.items()
}
