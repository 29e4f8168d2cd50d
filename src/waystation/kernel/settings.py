"""Every setting: read once at start from options, environment, preset and default; frozen afterwards."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from waystation.kernel.errors import Invalid

Port = Annotated[int, Field(ge=0, le=65535)]
PRESETS: dict[str, dict[str, Any]] = {
    "hub": {"ingest_per_minute": 0},
    "cloud": {"ingest_per_minute": 60},
}


class Settings(BaseModel):
    """`aliases` are the names that the five existing systems use for the same thing (contracts, "seed promises")."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["hub", "cloud"] = Field(
        "hub", description="What this program is for: an on-site hub or a cloud of many homes."
    )
    data: Path = Field(Path("waystation-data"), description="Folder of the database, keys, queues and files.")
    host: str = Field(
        "0.0.0.0",
        description="Address to listen on; `::` listens on IPv6 as well.",
        json_schema_extra={"aliases": ["HOST"]},
    )
    port: Port = Field(
        8000, description="HTTP port; 0 lets the system choose.", json_schema_extra={"aliases": ["PORT"]}
    )
    public_url: str = Field(
        "",
        description="Address that people and devices use, when it is not http://<this machine>:<port>.",
        json_schema_extra={"aliases": ["BASE_URL"]},
    )
    workers: int = Field(
        1, ge=1, le=64, description="HTTP processes; more than one needs PostgreSQL and an external NATS."
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="`postgresql://…`; empty means SQLite in the data folder.",
        json_schema_extra={"aliases": ["DATABASE_URL"]},
    )
    mqtt_host: str = Field("0.0.0.0", description="Address of the MQTT listener.")  # noqa: S104
    mqtt_port: Port = Field(
        1883,
        description="Port of the MQTT 3.1.1 listener; 0 switches MQTT off.",
        json_schema_extra={"aliases": ["MQTT_PORT"]},
    )
    nats_url: SecretStr = Field(
        SecretStr(""),
        description="`nats://user:password@host:4222` of your own NATS; empty starts one beside the hub.",
        json_schema_extra={"aliases": ["NATS_URL"]},
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged.", json_schema_extra={"aliases": ["LOG_LEVEL"]}
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Log lines for people or for machines.", json_schema_extra={"aliases": ["LOG_FORMAT"]}
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses of proxies whose X-Forwarded-For and -Proto count, comma-separated.",
        json_schema_extra={"aliases": ["FORWARDED_ALLOW_IPS"]},
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest body of an ordinary request.")
    header_timeout_seconds: float = Field(10, gt=0, description="Time a client has to send its headers.")
    body_timeout_seconds: float = Field(30, gt=0, description="Time a client has to send a small body.")
    idle_timeout_seconds: float = Field(75, gt=0, description="How long an idle connection is kept.")
    max_connections: int = Field(20_000, ge=10, description="Connections at once, from everybody.")
    max_connections_per_address: int = Field(2_000, ge=10, description="Connections at once from one address.")
    min_free_bytes: int = Field(
        67_108_864, ge=0, description="Readings are refused (507) when less disk than this is free."
    )
    max_future_seconds: int = Field(86_400, ge=0, description="A reading may be this far ahead of the hub's clock.")
    max_past_days: int = Field(3650, ge=1, description="A reading may be this old.")
    ingest_per_minute: int = Field(0, ge=0, description="Most thermostat posts a minute and device; 0 is no limit.")
    signin_per_minute: int = Field(5, ge=1, description="Tries to sign in a minute and address.")
    session_idle_seconds: int = Field(
        9000, ge=60, description="A browser session ends after this long without a request."
    )
    online_seconds: int = Field(60, ge=10, description="A device is online when its last traffic is younger.")

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


def variables(name: str) -> tuple[str, ...]:
    """Its environment variables, the first that is set counts."""
    extra = Settings.model_fields[name].json_schema_extra
    aliases = extra.get("aliases", []) if isinstance(extra, dict) else []
    return (f"WAYSTATION_{name.upper()}", *(str(alias) for alias in aliases)) if isinstance(aliases, list) else ()


def load(
    given: Mapping[str, Any] | None = None, environment: Mapping[str, str] = os.environ
) -> tuple[Settings, dict[str, str]]:
    """The settings and the source of each. A wrong value raises Invalid with one line that names variable and reason."""
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
        Known(name, _shown(name, getattr(settings, name)), sources[name], variables(name), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _shown(name: str, value: Any) -> str:
    secret = get_type_hints(Settings).get(name) is SecretStr
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if secret:
        return "(set, hidden)" if text else "(empty)"
    return ",".join(value) if isinstance(value, tuple) else str(value)
