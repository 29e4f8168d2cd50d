"""What `waystation restore` says and prints."""

from collections.abc import Generator
from pathlib import Path

from waystation import app
from waystation.kernel import settings as known_settings
from waystation.kernel.desk import say, show_json
from waystation.operation import restore, restore_key
from waystation.operation.progress import steps
from waystation.operation.restore import Restored
from waystation.operation.restore_key import Given


def bring_back(file: Path, data: Path | None, given: Given, *, as_json: bool) -> None:
    given.check()
    here, _ = known_settings.load()
    target = known_settings.load({"data": data})[0].data
    lock = restore.look(file, target).lock
    key = None if lock is None else restore_key.key_of(lock, given, here=here, target=target, ask=restore_key.typed)
    with steps() as tell:
        done = restore.restore(file, target, app.PACKAGE, key=key, tell=tell)
    left_out = list(lost(done)) if lock is not None and key is None else []
    if as_json:
        contents = done.contents
        show_json({"data": str(target), "made_at": contents.made_at, "rows": contents.rows, "lost": left_out})
        return
    if left_out:
        say("The keys were left out, so this is lost:")
        for sentence in left_out:
            say(f"- {sentence}")
    say(f"{target} is as the hub was at {done.contents.made_at}. Start it: waystation serve --data {target}")


def lost(done: Restored) -> Generator[str]:
    """What restoring without the keys has cost, in sentences."""
    apps, letters = done.lost.get("totp", 0), done.lost.get("outbox", 0)
    if apps:
        yield (
            f"authenticator apps of {apps} {'person' if apps == 1 else 'people'}: who has no passkey signs in with a "
            "recovery code and sets the app up again"
        )
    if done.lost.get("home_key"):
        yield "the key to what devices report encrypted: register those devices anew, or their reports stay unread"
    if letters:
        yield f"mails and notices that had not left yet: {letters}"
    if done.contents.queue == "included":
        yield "MQTT messages that the stopped hub had acknowledged and not yet stored"
    yield (
        "signing keys: access tokens of apps and devices end now and are renewed by themselves; pages that are open "
        "must be loaded again; a NATS of your own must be told the new key (waystation nats issuer)"
    )
    yield "the recovery code: the next backup makes and prints a new one"
