"""What `waystation backup` says and prints."""

from pathlib import Path

from waystation.kernel.desk import say, show_json
from waystation.kernel.errors import NotFound
from waystation.kernel.settings import Settings
from waystation.operation import archive, backup, backup_code
from waystation.operation.progress import steps

NEW_CODE = """
This hub's recovery code is

    {code}

Write it down and keep it away from this machine and its backups. A backup holds the hub's keys, locked: whoever
restores one elsewhere is asked for this code. It is not shown again by itself; `waystation backup --show-code` does.
"""


def show_code(settings: Settings, *, as_json: bool) -> None:
    """Makes it if there is none yet."""
    if not (settings.data / archive.DATABASE).exists() and not (settings.data / "keys").is_dir():
        raise NotFound(f"there is no hub's data in {settings.data}; name its folder with --data")
    code, _ = backup_code.known_or_new(settings.data)
    show_json({"code": code}) if as_json else say(code)


def save(
    loaded: tuple[Settings, dict[str, str]], file: Path, passphrase_file: Path | None, *, replace: bool, as_json: bool
) -> None:
    """A new code is told also when the file could not be made, because it stays this hub's code."""
    passphrase = "" if passphrase_file is None else backup_code.passphrase_in(passphrase_file)
    new_codes: list[str] = []
    wanted = backup.Wanted(path=file, replace=replace, passphrase=passphrase, hear_code=new_codes.append)
    try:
        with steps() as tell:
            made = backup.make(*loaded, wanted, tell)
    finally:
        for code in () if as_json else new_codes:
            say(NEW_CODE.format(code=code))
    facts = {"file": str(file), "bytes": file.stat().st_size, "made_at": made.made_at, "queue": made.queue}
    if as_json:
        show_json({**facts, "rows": made.rows, "new_code": new_codes[0] if new_codes else None})
    else:
        say(f"{file} holds everything that was acknowledged until {made.made_at}: {facts['bytes']:,} bytes, verified")
