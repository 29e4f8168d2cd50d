"""The contracts that are files: each a function that writes one anew from the program itself."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from typer.main import get_command

from waystation import cli
from waystation.kernel.settings import Settings, about, variables
from waystation.operation import map as site


def site_map() -> str:
    return site.text(site.survey())


def openapi() -> str:
    """What a hub serves at /openapi.json."""
    described: dict[str, Any] = site.built(lambda hot: hot.app.openapi())
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


ABOUT_SETTINGS = """\
# Settings

Every setting is read once at start: from the command's option, else from the first of its environment variables that
is set, else from the preset, else the default. `waystation settings` shows the values in force and where each came
from. A wrong value, or a `WAYSTATION_` variable that is no setting, stops the start with one line.

| setting | variables | default | what it is |
|---|---|---|---|
"""


def settings() -> str:
    return ABOUT_SETTINGS + "".join(_setting(name, field.default) for name, field in Settings.model_fields.items())


def _setting(name: str, default: Any) -> str:
    names = "<br>".join(f"`{variable}`" for variable in variables(name))
    return f"| {name} | {names} | {_default(default)} | {_escaped(about(name).sentence)} |\n"


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("|", "&#124;")


def _default(default: Any) -> str:
    plain = default.get_secret_value() if hasattr(default, "get_secret_value") else default
    return f"`{plain}`" if plain not in ("", ()) else "empty"


def commands() -> str:
    """Every command's help in a form of our own: the terminal's depends on its width."""
    top = get_command(cli.gather())
    return "\n".join([*_help("waystation", top), "", cli.EPILOG]) + "\n"


def _help(name: str, command: Any) -> Iterator[str]:
    named = [p for p in command.params if p.name != "help"]
    arguments = [p for p in named if p.param_type_name == "argument"]
    yield " ".join([name, *(p.name.upper() if p.required else f"[{p.name.upper()}]" for p in arguments)])
    yield f"    {' '.join((command.help or '').split())}"
    for parameter in named:
        if parameter.name not in ("install_completion", "show_completion"):
            yield f"      {_spelt(parameter):24}  {parameter.help or ''}{_shown_default(parameter)}".rstrip()
    for word, inner in getattr(command, "commands", {}).items():
        yield ""
        yield from _help(f"{name} {word}", inner)


def _spelt(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return parameter.name.upper()
    words = "/".join([*parameter.opts, *parameter.secondary_opts])
    if parameter.is_flag:
        return words
    return f"{words} {parameter.type_descriptor.annotation.__name__.upper()}"


def _shown_default(parameter: Any) -> str:
    if parameter.required:
        return " (required)"
    shown = getattr(parameter, "show_default", False) and parameter.default not in (None, False, "")
    return f" [default: {parameter.default}]" if shown else ""


CONTRACTS: Mapping[str, Callable[[], str]] = {
    "docs/reference/map.txt": site_map,
    "docs/reference/openapi.json": openapi,
    "docs/reference/settings.md": settings,
    "docs/reference/cli.txt": commands,
}
