from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from waystation.kernel import settings
from waystation.kernel.errors import Invalid
from waystation.kernel.settings import Settings


def loaded(given: dict[str, Any] | None = None, **environment: str) -> Settings:
    return settings.load(given, environment)[0]


def source(name: str, given: dict[str, Any] | None = None, **environment: str) -> str:
    return settings.load(given, environment)[1][name]


def refusal(given: dict[str, Any] | None = None, **environment: str) -> str:
    with pytest.raises(Invalid) as refused:
        settings.load(given, environment)
    assert "\n" not in refused.value.sentence
    return refused.value.sentence


def test_an_option_counts_before_a_variable_and_that_before_a_default() -> None:
    assert loaded().port == 8000
    assert loaded(WAYSTATION_PORT="81").port == 81
    assert loaded({"port": 82}, WAYSTATION_PORT="81").port == 82
    assert loaded({"port": None}, WAYSTATION_PORT="81").port == 81


def test_each_value_says_where_it_came_from() -> None:
    assert source("port") == "default"
    assert source("port", PORT="81") == "PORT"
    assert source("mqtt_port", {"mqtt_port": 1}) == "--mqtt-port"
    assert source("ingest_per_minute", WAYSTATION_PRESET="cloud") == "preset cloud"


def test_our_own_variable_counts_before_the_older_systems_name() -> None:
    assert loaded(PORT="81", WAYSTATION_PORT="82").port == 82


def test_an_empty_variable_is_not_set() -> None:
    assert loaded(WAYSTATION_PORT="", PORT="81").port == 81


def test_a_preset_fills_only_what_nobody_has_chosen() -> None:
    assert loaded(WAYSTATION_PRESET="cloud").ingest_per_minute == 60
    assert loaded(WAYSTATION_PRESET="cloud", WAYSTATION_INGEST_PER_MINUTE="7").ingest_per_minute == 7
    assert loaded().ingest_per_minute == 0


def test_a_wrong_value_is_named_with_its_variable_and_the_reason() -> None:
    sentence = refusal(PORT="many")
    assert sentence.startswith("PORT=many: ")
    assert "integer" in sentence


def test_a_wrong_option_is_named_as_it_was_typed() -> None:
    assert refusal({"mqtt_port": 70000}).startswith("--mqtt-port=70000: ")


def test_a_variable_of_ours_that_is_no_setting_stops_the_start() -> None:
    assert "WAYSTATION_PROT is not a setting" in refusal(WAYSTATION_PROT="81")


@pytest.mark.parametrize("name", ["WAYSTATION_AGENT_SERVER", "WAYSTATION_TEST_SEED", "WAYSTATION_SLOT", "PATH"])
def test_variables_of_others_are_none_of_our_business(name: str) -> None:
    assert loaded(**{name: "x"}) == Settings()


def test_several_workers_need_a_database_and_a_bus_that_all_of_them_reach() -> None:
    assert "PostgreSQL" in refusal({"workers": 2})
    assert "NATS" in refusal({"workers": 2}, DATABASE_URL="postgresql://db/site")
    assert loaded({"workers": 2}, DATABASE_URL="postgresql://db/site", NATS_URL="nats://bus").workers == 2


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_postgresql_url_reaches_our_driver(scheme: str) -> None:
    assert loaded(DATABASE_URL=f"{scheme}://u:p@db/site").database == "postgresql+psycopg://u:p@db/site"


@pytest.mark.parametrize(
    ("name", "url"), [("DATABASE_URL", "mysql://u:secretword@db"), ("REDIS_URL", "http://:secretword@cache")]
)
def test_an_engine_that_we_do_not_speak_is_refused_without_its_password__G_6(name: str, url: str) -> None:
    sentence = refusal(**{name: url})
    assert name in sentence
    assert "secretword" not in sentence


def test_without_a_database_url_it_is_sqlite_in_the_data_folder(tmp_path: Path) -> None:
    assert loaded({"data": tmp_path}).database == f"sqlite:///{tmp_path / 'waystation.db'}"
    assert loaded({"data": tmp_path}).is_sqlite


def test_secrets_are_shown_as_set_and_nothing_more__G_6() -> None:
    secret = [name for name, field in Settings.model_fields.items() if field.annotation.__name__ == "SecretStr"]
    assert {"database_url", "nats_url", "redis_url", "metrics_token"} <= set(secret)
    given = {name: "postgresql://secretword" if name == "database_url" else "redis://secretword" for name in secret}
    chosen, sources = settings.load(given, {})
    shown = {known.name: known.value for known in settings.known(chosen, sources)}
    assert {shown[name] for name in secret} == {"(set, hidden)"}
    assert "secretword" not in repr(chosen)


def test_proxies_are_a_list_with_commas() -> None:
    assert loaded(FORWARDED_ALLOW_IPS="10.0.0.1, 10.0.0.2,").trusted_proxies == ("10.0.0.1", "10.0.0.2")


def test_settings_do_not_change_after_the_start() -> None:
    with pytest.raises(ValidationError):
        loaded().port = 9  # type: ignore[misc]


def test_every_setting_has_a_sentence_and_a_variable_of_its_own() -> None:
    owners: dict[str, str] = {}
    for name in Settings.model_fields:
        assert settings.about(name).sentence.endswith(".")
        for variable in settings.variables(name):
            assert owners.setdefault(variable, name) == name


def test_a_cloud_sends_notices_into_no_private_network_unless_it_is_named() -> None:
    assert "192.168.0.0/16" in loaded().webhook_private_networks
    assert loaded(WAYSTATION_PRESET="cloud").webhook_private_networks == ()
    assert loaded(WAYSTATION_WEBHOOK_PRIVATE_NETWORKS="none").webhook_private_networks == ()
    named = loaded(WAYSTATION_PRESET="cloud", WAYSTATION_WEBHOOK_PRIVATE_NETWORKS="127.0.0.1/8, fd00::/8")
    assert named.webhook_private_networks == ("127.0.0.0/8", "fd00::/8")
    assert "webhook" in refusal(WAYSTATION_WEBHOOK_PRIVATE_NETWORKS="the house").lower()


def test_a_cloud_serves_people_over_https_only_and_says_so_when_it_does_not() -> None:
    assert (loaded().https_only, loaded(WAYSTATION_PRESET="cloud").https_only) == (False, True)
    assert loaded(SECURE_SSL_REDIRECT="true").https_only
    assert loaded(WAYSTATION_PRESET="cloud").plain_http_ingest
    assert settings.weakened(loaded()) == settings.weakened(loaded(WAYSTATION_PRESET="cloud")) == []
    (told,) = settings.weakened(loaded(WAYSTATION_PRESET="cloud", WAYSTATION_HTTPS_ONLY="false"))
    assert "https_only" in told
