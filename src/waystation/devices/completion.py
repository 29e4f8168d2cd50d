"""Devices for shells to complete: keys with names, read from the hub's database as it lies there."""

from typing import Any

from waystation.devices import store
from waystation.kernel.errors import DomainError

MOST = 200


def device_keys(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """Never a fault: a shell that asks is not the place to say one. Loads nothing before it is asked."""
    from waystation.homes import first_home  # noqa: PLC0415
    from waystation.kernel.db import Database  # noqa: PLC0415
    from waystation.kernel.settings import load  # noqa: PLC0415

    try:
        settings, _ = load({"data": ctx.params.get("data")})
        if settings.is_sqlite and not (settings.data / "waystation.db").exists():
            return []
        database = Database(settings.database)
        with database.read() as tx:
            home = first_home(tx)
            found = [] if home is None else store.search(tx, home.id, incomplete, MOST)
        database.close()
    except (DomainError, OSError):
        return []
    return [(one.key, one.name) for one in found if one.key.startswith(incomplete)]
