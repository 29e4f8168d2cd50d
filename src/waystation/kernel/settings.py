"""Every setting: read once at start from options, environment, preset and default; frozen afterwards."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from waystation.kernel.errors import Invalid

Port = Annotated[int, Field(ge=0, le=65535)]
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
LEAST_SECRET = 16
DEFAULT_SECRETS = (
    "changeme",
    "change-me",
    "change_me",
    "change-this",
    "change_this",
    "your-secret",
    "insecure",
    "default",
)
PRESETS: dict[str, dict[str, Any]] = {
    "hub": {"ingest_per_minute": 0, "many_homes": False, "open_registration": False},
    "cloud": {
        "https_only": True,
        "ingest_per_minute": 60,
        "many_homes": True,
        "open_registration": True,
        "webhook_private_networks": (),
    },
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
    smtp_url: Annotated[
        SecretStr,
        About("`smtp+starttls://user:password@host:587` or `smtps://…`; empty sends no mail but keeps it.", "SMTP_URL"),
    ] = SecretStr("")
    mail_from: Annotated[
        str, About("Address that mail comes from, as in `Home <home@example.org>`.", "DEFAULT_FROM_EMAIL")
    ] = ""
    redis_url: Annotated[
        SecretStr,
        About("`redis://…` where all processes count tries together; empty lets each count its own.", "REDIS_URL"),
    ] = SecretStr("")
    metrics_token: Annotated[
        SecretStr,
        About("Bearer token that /metrics asks for; empty leaves it open to everybody.", "METRICS_TOKEN"),
    ] = SecretStr("")
    backup_passphrase: Annotated[
        SecretStr,
        About("Locks the keys in backups, 12 characters or more; empty uses the recovery code that is made for you."),
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
    https_only: Annotated[
        bool,
        About("Whether people's pages are served over HTTPS only, by a trusted proxy.", "SECURE_SSL_REDIRECT"),
    ] = False
    plain_http_ingest: Annotated[
        bool, About("Whether devices may send readings and renew their credentials over plain HTTP.")
    ] = True
    max_body_bytes: Annotated[int, Field(ge=1024), About("Largest body of an ordinary request.")] = 1048576
    header_timeout_seconds: Annotated[float, Field(gt=0), About("Time a client has to send its headers.")] = 10
    body_timeout_seconds: Annotated[float, Field(gt=0), About("Time a client has to send a small body.")] = 30
    idle_timeout_seconds: Annotated[float, Field(gt=0), About("How long an idle connection is kept.")] = 75
    max_connections: Annotated[int, Field(ge=10), About("Connections at once, from everybody.")] = 20000
    max_connections_per_address: Annotated[int, Field(ge=10), About("Connections at once from one address.")] = 2000
    min_free_bytes: Annotated[
        int, Field(ge=0), About("Readings are refused (507) when less disk than this is free.")
    ] = 67108864
    max_file_bytes: Annotated[int, Field(ge=1024), About("Largest file that devices and people may upload.")] = (
        4294967296
    )
    file_types: Annotated[
        tuple[str, ...], About("Endings of names that files may have, as in `csv,json,log`; empty takes all.")
    ] = ()
    keep_device_files_days: Annotated[
        int, Field(ge=0), About("Files that devices uploaded are deleted when they are so old; 0 keeps them.")
    ] = 0
    bundle_keys: Annotated[
        tuple[str, ...],
        About("Public keys of other hubs whose bundles of packages are taken, comma-separated (`package key` there)."),
    ] = ()
    max_future_seconds: Annotated[int, Field(ge=0), About("A reading may be this far ahead of the hub's clock.")] = (
        86400
    )
    max_past_days: Annotated[int, Field(ge=1), About("A reading may be this old.")] = 3650
    ingest_per_minute: Annotated[
        int, Field(ge=0), About("Calls with readings that a device may make a minute; 0 is no limit.")
    ] = 0
    ingest_burst: Annotated[
        int, Field(ge=0), About("Calls with readings that it may make at once after a pause; 0 is a minute's worth.")
    ] = 0
    messages_per_minute: Annotated[
        int, Field(ge=0), About("Log lines that a device may write a minute; 0 is no limit.")
    ] = 600
    messages_burst: Annotated[
        int, Field(ge=0), About("Log lines that it may write at once after a pause; 0 is a minute's worth.")
    ] = 5000
    messages_days: Annotated[int, Field(ge=1), About("How long log lines of devices are kept.")] = 30
    messages_per_device: Annotated[
        int, Field(ge=1), About("How many log lines of each device are kept; repeats that follow each other are one.")
    ] = 10_000
    key_overlap_hours: Annotated[
        float,
        Field(ge=0, le=168),
        About("How long a rotated thermostat key stays good, until the new one is used; 0 ends it at once."),
    ] = 168
    thermostat_shared_key: Annotated[
        SecretStr, About("X-API-Key of thermostats that have no key of their own; empty refuses them, which is safer.")
    ] = SecretStr("")
    thermostat_shared_devices: Annotated[
        str, About("Which device each of them is: `device_id=serial`, comma-separated.")
    ] = ""
    device_auth_file: Annotated[
        str,
        About("DropSync's token file; empty means device_auth.json in the data folder.", "DEVICE_AUTH_FILE"),
    ] = ""
    dropsync_legacy: Annotated[
        bool, About("Whether DropSync's oldest addresses (/upload, /send-command, /message, /check-files) answer.")
    ] = True
    dropsync_open_admin: Annotated[
        bool, About("Whether DropSync's admin calls and its forms need no login; off, which is safer.")
    ] = False
    dropsync_device_bytes: Annotated[
        int, Field(ge=0), About("What the files of one DropSync device may take together.")
    ] = 1073741824
    default_plan: Annotated[
        str, Field(min_length=1, max_length=32), About("Plan of owners who have not been given another.")
    ] = "unlimited"
    signin_per_minute: Annotated[int, Field(ge=1), About("Tries to sign in a minute and address.")] = 5
    session_idle_seconds: Annotated[
        int, Field(ge=60), About("A browser session ends after this long without a request.")
    ] = 9000
    webhook_private_networks: Annotated[
        tuple[str, ...],
        About("Networks that webhooks and ntfy may reach beside the internet, comma-separated; `none` for none."),
    ] = PRIVATE_NETWORKS
    oidc_issuer: Annotated[
        str,
        About("Address of your identity provider, as it calls itself; empty for none.", "OIDC_ISSUER_URL"),
    ] = ""
    oidc_client_id: Annotated[str, About("How the provider knows this program.", "OIDC_CLIENT_ID")] = ""
    oidc_client_secret: Annotated[
        SecretStr, About("What this program proves that with; empty for a public client.", "OIDC_CLIENT_SECRET")
    ] = SecretStr("")
    oidc_name: Annotated[
        str, Field(min_length=1, max_length=40), About("The provider's name on the button: “Sign in with …”.")
    ] = "your organisation"
    oidc_sign_up: Annotated[
        Literal["nobody", "invited", "everybody"],
        About("Who gets an account at the first sign-in with the provider, beside those who have one here."),
    ] = "invited"
    oidc_link_by_email: Annotated[
        bool,
        About("A first sign-in opens the account here that has the same e-mail address, if the provider verified it."),
    ] = False
    oidc_role: Annotated[
        Literal["", "viewer", "user", "admin"],
        About("Role in the first home of who signs up with the provider; empty is none."),
    ] = ""
    oidc_admin_groups: Annotated[
        tuple[str, ...],
        About("Groups at the provider whose members are administrators of the first home, comma-separated."),
    ] = ()
    many_homes: Annotated[bool, About("Whether people may make homes of their own.")] = False
    open_registration: Annotated[bool, About("Whether strangers may make accounts without an invitation.")] = False
    registrations_per_hour: Annotated[int, Field(ge=1), About("New accounts an hour and address.")] = 3
    device_access_seconds: Annotated[
        int, Field(ge=3900), About("How long a device's access token is good (JWT_LIFETIME).")
    ] = 28800
    device_refresh_seconds: Annotated[
        int, Field(ge=90000), About("How long a device's refresh token is good; more than a day.")
    ] = 604800
    command_days: Annotated[
        int, Field(ge=1, le=3650), About("How long a finished command is kept with its history, in days.")
    ] = 30
    online_seconds: Annotated[int, Field(ge=10), About("A device is online when its last traffic is younger.")] = 60

    @field_validator("log_level", mode="before")
    @classmethod
    def _level(cls, given: Any) -> Any:
        """Also as Python's own logging spells it."""
        named = given.strip().lower() if isinstance(given, str) else given
        return {"warn": "warning", "critical": "error"}.get(named, named)

    @field_validator("trusted_proxies", "oidc_admin_groups", "bundle_keys", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given

    @field_validator("file_types", mode="before")
    @classmethod
    def _endings(cls, given: Any) -> Any:
        named = given.split(",") if isinstance(given, str) else given
        return tuple(ending.strip().lower().removeprefix(".") for ending in named if ending.strip())

    @field_validator("webhook_private_networks", mode="before")
    @classmethod
    def _networks(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        named = [part.strip() for part in given.split(",") if part.strip() not in ("", "none")]
        return tuple(str(ip_network(name, strict=False)) for name in named)

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
    _refuse_weak_secret(environment)
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


def _refuse_weak_secret(environment: Mapping[str, str]) -> None:
    """Our own keys are random, so none is needed here; but who gives one that everybody knows is told (DS-30)."""
    given = environment.get("SECRET_KEY")
    development = environment.get("ENVIRONMENT", "").lower() in ("dev", "development")
    if given is None or development:
        return
    if len(given.strip()) < LEAST_SECRET or any(word in given.lower() for word in DEFAULT_SECRETS):
        raise Invalid(
            f"SECRET_KEY is empty, shorter than {LEAST_SECRET} characters or a default that everybody knows: "
            "give it random ones, or leave it out, because this program makes its own keys"
        )


def _check_together(settings: Settings) -> None:
    if settings.workers > 1 and settings.is_sqlite:
        raise Invalid("more than one worker needs PostgreSQL: set DATABASE_URL, or leave workers at 1")
    if settings.workers > 1 and not settings.nats_url.get_secret_value():
        raise Invalid("more than one worker needs a NATS that all of them reach: set NATS_URL, or leave workers at 1")
    if not settings.is_sqlite and not settings.database.startswith("postgresql+psycopg://"):
        raise Invalid("DATABASE_URL must start with postgresql:// (or be empty for SQLite)")
    if bool(settings.oidc_issuer) != bool(settings.oidc_client_id):
        raise Invalid("an identity provider needs both: set oidc_issuer and oidc_client_id, or neither")
    if settings.oidc_issuer and not is_protected(settings.oidc_issuer):
        raise Invalid("oidc_issuer must start with https://, or what people prove there could be read on the way")
    redis_url = settings.redis_url.get_secret_value()
    if redis_url and not redis_url.startswith(("redis://", "rediss://", "redis+unix://")):
        raise Invalid("REDIS_URL must start with redis://, rediss:// or redis+unix:// (or be empty)")


def weakened(settings: Settings) -> list[str]:
    """What is less safe than it could be because somebody chose so; told at start and on the system page."""
    shared = settings.thermostat_shared_key.get_secret_value() and settings.thermostat_shared_devices.strip()
    told = (
        "thermostat_shared_key lets thermostats in that have no key of their own: whoever has it can post as any of "
        "those in thermostat_shared_devices"
    )
    open_admin = "dropsync_open_admin is on: whoever reaches this site can register DropSync devices and command them"
    plain = "https_only is off: passwords and sessions of a cloud can be read on the way"
    opened = [open_admin] * settings.dropsync_open_admin
    return [told] * bool(shared) + opened + [plain] * (settings.preset == "cloud" and not settings.https_only)


def is_protected(url: str) -> bool:
    """Whether nobody on the way can read or change what is said there: https, or this very machine."""
    try:
        address = urlsplit(url)
    except ValueError:
        return False
    here = address.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(address.hostname) and (address.scheme == "https" or (address.scheme == "http" and here))


def known(settings: Settings, sources: Mapping[str, str]) -> list[Known]:
    return [
        Known(name, _shown(name, getattr(settings, name)), sources[name], variables(name), about(name).sentence)
        for name in Settings.model_fields
    ]


def _shown(name: str, value: Any) -> str:
    if Settings.model_fields[name].annotation is SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        return "(set, hidden)" if text else "(empty)"
    return ",".join(value) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType]
