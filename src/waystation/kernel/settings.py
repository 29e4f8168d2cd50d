"""Every setting: read once at start from options, environment, preset and default; frozen afterwards."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from waystation.kernel.errors import Invalid

Port = Annotated[int, Field(ge=0, le=65535)]
PRESETS: dict[str, dict[str, Any]] = {
    "hub": {"ingest_per_minute": 0},
    "cloud": {"ingest_per_minute": 60},
}


class About:
    """A sentence for people, and the variables by which the five existing systems know the same setting (contracts)."""

    def __init__(self, sentence: str, *also: str) -> None:
        self.sentence = sentence
        self.also = also


class Settings(BaseModel):
    """Each field is a setting; its variable is `WAYSTATION_` and its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Annotated[
        Literal["hub", "cloud"], About("What this program is for: an on-site hub or a cloud of many homes.")
    ] = "hub"
    data: Annotated[Path, About("Folder of the database, keys, queues and files.")] = Path("waystation-data")
    host: Annotated[str, About("Address to listen on; `::` listens on IPv6 as well.", "HOST")] = "0.0.0.0"  # noqa: S104
    port: Annotated[Port, About("HTTP port; 0 lets the system choose.", "PORT")] = 8000
    public_url: Annotated[
        str, About("Address that people and devices use, when it is not http://<this machine>:<port>.", "BASE_URL")
    ] = ""
    workers: Annotated[
        int, Field(ge=1, le=64), About("HTTP processes; more than one needs PostgreSQL and an external NATS.")
    ] = 1
    database_url: Annotated[
        SecretStr, About("`postgresql://…`; empty means SQLite in the data folder.", "DATABASE_URL")
    ] = SecretStr("")
    mqtt_host: Annotated[str, About("Address of the MQTT listener.")] = "0.0.0.0"  # noqa: S104
    mqtt_port: Annotated[Port, About("Port of the MQTT 3.1.1 listener; 0 switches MQTT off.", "MQTT_PORT")] = 1883
    nats_url: Annotated[
        SecretStr,
        About("`nats://user:password@host:4222` of your own NATS; empty starts one beside the hub.", "NATS_URL"),
    ] = SecretStr("")
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], About("Least severity that is logged.", "LOG_LEVEL")
    ] = "info"
    log_format: Annotated[Literal["text", "json"], About("Log lines for people or for machines.", "LOG_FORMAT")] = (
        "text"
    )
    trusted_proxies: Annotated[
        tuple[str, ...],
        About("Addresses of proxies whose X-Forwarded-For and -Proto count, comma-separated.", "FORWARDED_ALLOW_IPS"),
    ] = ()
    max_body_bytes: Annotated[int, Field(ge=1024), About("Largest body of an ordinary request.")] = 1048576
    header_timeout_seconds: Annotated[float, Field(gt=0), About("Time a client has to send its headers.")] = 10
    body_timeout_seconds: Annotated[float, Field(gt=0), About("Time a client has to send a small body.")] = 30
    idle_timeout_seconds: Annotated[float, Field(gt=0), About("How long an idle connection is kept.")] = 75
    max_connections: Annotated[int, Field(ge=10), About("Connections at once, from everybody.")] = 20000
    max_connections_per_address: Annotated[int, Field(ge=10), About("Connections at once from one address.")] = 2000
    min_free_bytes: Annotated[
        int, Field(ge=0), About("Readings are refused (507) when less disk than this is free.")
    ] = 67108864
    max_future_seconds: Annotated[int, Field(ge=0), About("A reading may be this far ahead of the hub's clock.")] = (
        86400
    )
    max_past_days: Annotated[int, Field(ge=1), About("A reading may be this old.")] = 3650
    ingest_per_minute: Annotated[
        int, Field(ge=0), About("Most thermostat posts a minute and device; 0 is no limit.")
    ] = 0
    signin_per_minute: Annotated[int, Field(ge=1), About("Tries to sign in a minute and address.")] = 5
    session_idle_seconds: Annotated[
        int, Field(ge=60), About("A browser session ends after this long without a request.")
    ] = 9000
    online_seconds: Annotated[int, Field(ge=10), About("A device is online when its last traffic is younger.")] = 60

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given

    @property
    def database(self) -> str:
        """The SQLAlchemy URL."""
        url = self.database_url.get_secret_value()
        if not url:
            return f"sqlite:///{self.data.resolve() / 'waystation.db'}"
        return url.replace("postgres://", "postgresql://", 1).replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def is_sqlite(self) -> bool:
        return self.database.startswith("sqlite")


@dataclass(frozen=True, slots=True)
class Known:
    """A setting's value as shown to a person, and where it came from."""

    name: str
    value: str
    source: str
    variables: tuple[str, ...]
    about: str


def about(name: str) -> About:
    return next(mark for mark in Settings.model_fields[name].metadata if isinstance(mark, About))


def variables(name: str) -> tuple[str, ...]:
    """Its environment variables; the first that is set counts."""
    return (f"WAYSTATION_{name.upper()}", *about(name).also)


def load(
    given: Mapping[str, Any] | None = None, environment: Mapping[str, str] = os.environ
) -> tuple[Settings, dict[str, str]]:
    """The settings and the source of each. A wrong value raises Invalid, one line that names variable and reason."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = dict.fromkeys(Settings.model_fields, "default")
    for name in Settings.model_fields:
        for variable in variables(name):
            if environment.get(variable, "") != "":
                values[name], sources[name] = environment[variable], variable
                break
    for name, value in (given or {}).items():
        if value is not None:
            values[name], sources[name] = value, f"--{name.replace('_', '-')}"
    for name, value in PRESETS.get(str(values.get("preset", "hub")), {}).items():
        if name not in values:
            values[name], sources[name] = value, f"preset {values.get('preset', 'hub')}"
    _refuse_unknown(environment)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = str(first["loc"][0])
        raise Invalid(f"{sources.get(name, name)}={_shown(name, values.get(name))}: {first['msg']}") from None
    _check_together(settings)
    return settings, sources


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = {variable for name in Settings.model_fields for variable in variables(name)} | {"WAYSTATION_SLOT"}
    for variable in sorted(environment):
        if (
            variable.startswith("WAYSTATION_")
            and variable not in known
            and not variable.startswith(("WAYSTATION_AGENT_", "WAYSTATION_TEST_"))
        ):
            raise Invalid(f"{variable} is not a setting; `waystation settings` lists them all")


def _check_together(settings: Settings) -> None:
    if settings.workers > 1 and settings.is_sqlite:
        raise Invalid("more than one worker needs PostgreSQL: set DATABASE_URL, or leave workers at 1")
    if settings.workers > 1 and not settings.nats_url.get_secret_value():
        raise Invalid("more than one worker needs a NATS that all of them reach: set NATS_URL, or leave workers at 1")
    if not settings.is_sqlite and not settings.database.startswith("postgresql+psycopg://"):
        raise Invalid("DATABASE_URL must start with postgresql:// (or be empty for SQLite)")


def known(settings: Settings, sources: Mapping[str, str]) -> list[Known]:
    return [
        Known(name, _shown(name, getattr(settings, name)), sources[name], variables(name), about(name).sentence)
        for name in Settings.model_fields
    ]


def _shown(name: str, value: Any) -> str:
    if Settings.model_fields[name].annotation is SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        return "(set, hidden)" if text else "(empty)"
    return ",".join(value) if name == "trusted_proxies" else str(value)
