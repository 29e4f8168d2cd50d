"""The list of kinds; a new one is a folder and a line here."""

from collections.abc import Mapping

from waystation.alerts.channels import console, mail, mqtt, ntfy, webhook
from waystation.alerts.channels.model import Kind
from waystation.kernel.errors import Invalid

KINDS: Mapping[str, Kind] = {kind.word: kind for kind in (mail.KIND, ntfy.KIND, webhook.KIND, mqtt.KIND, console.KIND)}


def kind_of(word: str) -> Kind:
    if word not in KINDS:
        raise Invalid(f"a channel is one of {', '.join(KINDS)}")
    return KINDS[word]
