"""The contracts that are files: each a function that writes one anew from the program itself."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from typer.main import get_command

from waystation import app, cli
from waystation.kernel.feature import HotRoute
from waystation.kernel.settings import Settings, about, variables
from waystation.operation import map as site

REFUSALS = {
    "400": "The body is not understood; nothing of it was stored",
    "401": "No credential, or one that cannot be read",
    "403": "A wrong, expired or revoked credential",
    "413": "The body is too large",
    "507": "The disk is full; send it again later",
}


def site_map() -> str:
    return site.text(site.survey())


def openapi() -> str:
    """The web framework's own description, and the hot routes, which it does not know."""
    described: dict[str, Any] = site.built(lambda hot: hot.app.openapi())
    described.setdefault("components", {})["securitySchemes"] = {
        "device": {
            "type": "apiKey", "in": "header", "name": "Authorization",
            "description": "`Device <serial or key>:<API key>`, or `Bearer <API key>`",
        }
    }  # fmt: skip
    for feature in app.FEATURES:
        for route in feature.hot:
            if route.who != site.NOBODY:
                described["paths"].setdefault(route.path, {})[route.method.lower()] = _described(feature.name, route)
    described["paths"] = dict(sorted(described["paths"].items()))
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def _described(feature: str, route: HotRoute) -> dict[str, Any]:
    return {
        "tags": [feature],
        "summary": inspect.getdoc(route.endpoint) or "",
        "security": [{route.who: []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
        "responses": {"200": {"description": "Durable"}, **{s: {"description": text} for s, text in REFUSALS.items()}},
    }


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
