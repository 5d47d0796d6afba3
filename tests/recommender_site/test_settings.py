"""Settings come from the environment; what is missing or nonsense is refused by name, and all of it is documented."""

import ast
import re
import runpy
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

PROJECT = Path(__file__).resolve().parents[2]
SETTINGS = PROJECT / "recommender_site" / "settings.py"
ENOUGH = {
    "DATABASE_URL": "postgres://person@host/forecourt",
    "REDIS_URL": "redis://host/1",
    "CELERY_BROKER_URL": "amqp://host//",
    "SECRET_KEY": "a-key-of-forty-characters-for-these-tests",
}
READERS = {
    "env": {"str", "bool", "int", "list"},
    "read": {
        "integer", "number", "database", "databases", "exchange_rates", "origins", "optional_url", "email", "days_kept",
        "hours",
    },
}  # fmt: skip
READ_ELSEWHERE = {"EMBEDDED_DIR": "local/home.py", "PROMETHEUS_MULTIPROC_DIR": "http/metrics.py"}


@pytest.fixture
def environment(monkeypatch):
    for name in documented():
        monkeypatch.delenv(name, raising=False)
    for name, value in ENOUGH.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def load() -> dict:
    return runpy.run_path(str(SETTINGS))


def variables_read() -> dict[str, object]:
    """Every variable that settings.py reads, with its default; ... where there is none or it is not a plain value."""
    found = {}
    for node in ast.walk(ast.parse(SETTINGS.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(owner), attr=reader)) if reader in READERS.get(owner, ()):
                name, *rest = node.args
                if reader in ("database", "databases"):  # which reads the password too
                    found |= {name.value: ..., rest[0].value: ...}
                else:
                    found[name.value] = plain_value(rest[0]) if rest else ...
    return found


def plain_value(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ...


def documented() -> dict[str, str]:
    """Every variable of .env.example and the value shown beside it."""
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE))


def in_words(default: object) -> str:
    return ",".join(default) if isinstance(default, list) else str(default)


@pytest.mark.parametrize(("is_demo", "rate"), [("True", "60000/min"), ("False", "6000/min")])
def test_one_user_of_a_load_test_may_stand_for_many_in_demo_mode_alone(environment, is_demo, rate):
    environment.setenv("DEMO_MODE", is_demo)
    assert load()["REST_FRAMEWORK"]["DEFAULT_THROTTLE_RATES"]["user"] == rate


@pytest.mark.parametrize("name", ENOUGH)
def test_a_missing_variable_is_refused_by_name(environment, name):
    environment.delenv(name)
    with pytest.raises(ImproperlyConfigured, match=f'"{name}" not set'):
        load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "perhaps"),
        ("SECRET_KEY", "short"),
        ("ALERT_QUIET_HOURS", "22"),
        ("ALERT_QUIET_HOURS", "22-24"),
        ("ALERT_TIME_ZONE", "Mars/Olympus"),
        ("PUBLIC_URL", "cars.example.com"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "sqlite:///db"),
        ("DATABASE_URL", "postgres://host-without-database"),
        ("DATABASE_REPLICA_URLS", "nonsense"),
        ("DATABASE_REPLICA_URLS", "postgres://one/forecourt,sqlite:///db"),
        ("DATABASE_REPLICA_URLS", "postgres://one/forecourt,postgres://two"),
        ("REPLICA_STALENESS_SECONDS", "0"),
        ("REDIS_URL", "http://host"),
        ("CELERY_BROKER_URL", "kafka://host"),
        ("TRAINING_CLUSTER", "host:8786"),
        ("TRAINING_EVENTS_PER_PARTITION", "0"),
        ("KEY_PREFIX", "with space"),
        ("PORT", "99999"),
        ("PORT", "eighty"),
        ("WEB_THREADS", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("MARKET_CURRENCY", "pounds"),
        ("EXCHANGE_RATES", "EUR"),
        ("EXCHANGE_RATES", "EUR:0"),
        ("EXCHANGE_RATES", "EUR:0.86,"),
        ("WINDOW_STALENESS_SECONDS", "nan"),
        ("THROTTLE_USER", "often"),
        ("THROTTLE_GUEST", "0/min"),
        ("SECRET_KEY_FILE", "/nowhere"),
        ("CORS_ALLOWED_ORIGINS", "www.example.com"),
        ("CORS_ALLOWED_ORIGINS", "https://www.example.com/"),
        ("TWO_FACTOR", "perhaps"),
        ("LOGIN_FAILURES_PER_ACCOUNT", "0"),
        ("OIDC_ISSUER", "login.example.com"),
        ("OIDC_NEW_STAFF_ROLE", "Owner"),
        ("EMAIL_URL", "mail.example.com"),
    ],
)
def test_nonsense_is_refused_by_name(environment, name, value):
    environment.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=name):
        load()


def test_exchange_rates_are_read_as_numbers(environment):
    environment.setenv("EXCHANGE_RATES", "EUR:0.86,USD:0.79")
    assert load()["EXCHANGE_RATES"] == {"EUR": 0.86, "USD": 0.79}


def test_a_secret_can_come_from_a_file_that_ends_with_a_newline(environment, tmp_path):
    (tmp_path / "password").write_text("open sesame\n")
    environment.setenv("DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    assert load()["DATABASES"]["default"]["PASSWORD"] == "open sesame"


def test_replicas_are_read_from_one_variable_or_file_and_share_the_password(environment, tmp_path):
    assert list(load()["DATABASES"]) == ["default"]
    (tmp_path / "replicas").write_text(
        "postgres://person@one/forecourt, postgres://person:own%20word@two:6000/forecourt\n"
    )
    environment.setenv("DATABASE_REPLICA_URLS_FILE", str(tmp_path / "replicas"))
    environment.setenv("DATABASE_PASSWORD", "open sesame")
    got = load()
    one, two = got["DATABASES"]["replica1"], got["DATABASES"]["replica2"]
    assert (one["HOST"], one["PASSWORD"]) == ("one", "open sesame")
    assert (two["HOST"], two["PORT"], two["PASSWORD"]) == ("two", 6000, "own word")
    assert {each["ENGINE"] for each in got["DATABASES"].values()} == {"web.postgres"}
    assert {"open sesame", "own word"} <= set(got["SECRETS"])


def test_a_password_in_the_address_of_a_replica_is_not_in_the_refusal(environment):
    environment.setenv("DATABASE_REPLICA_URLS", "postgres://person:secret-word@one:port/forecourt")
    with pytest.raises(ImproperlyConfigured, match="DATABASE_REPLICA_URLS") as refusal:
        load()
    assert "secret-word" not in str(refusal.value)


def test_behind_pgbouncer_connections_ask_for_no_settings_and_keep_no_cursors(environment):
    environment.setenv("DATABASE_REPLICA_URLS", "postgres://person@one/forecourt")
    for value, are_asked_for in [("False", True), ("True", False)]:
        environment.setenv("DATABASE_BEHIND_PGBOUNCER", value)
        for server in load()["DATABASES"].values():
            assert ("options" in server["OPTIONS"]) is are_asked_for
            assert server["DISABLE_SERVER_SIDE_CURSORS"] is not are_asked_for


def test_email_is_read_from_one_address(environment):
    assert load()["SENDS_EMAIL"] is False
    environment.setenv("EMAIL_URL", "submission://us:open%20sesame@mail.example.com:587")
    got = load()
    assert (got["SENDS_EMAIL"], got["EMAIL_HOST"], got["EMAIL_PORT"]) == (True, "mail.example.com", 587)
    assert (got["EMAIL_HOST_USER"], got["EMAIL_HOST_PASSWORD"], got["EMAIL_USE_TLS"]) == ("us", "open sesame", True)


def test_the_roles_of_the_settings_are_the_roles(environment):
    from accounts.roles import ROLES

    assert load()["ROLES"] == ROLES


def test_redis_options_are_not_given_to_another_broker(environment):
    assert load()["CELERY_BROKER_TRANSPORT_OPTIONS"] == {}
    environment.setenv("CELERY_BROKER_URL", "redis://host/0")
    assert load()["CELERY_BROKER_TRANSPORT_OPTIONS"]["global_keyprefix"] == "forecourt:"


def test_every_variable_is_documented_and_nothing_else_is():
    assert set(documented()) == set(variables_read()) | set(READ_ELSEWHERE)


def test_variables_read_elsewhere_are_read_there():
    for name, module in READ_ELSEWHERE.items():
        assert f'"{name}"' in (PROJECT / "recommender_site" / module).read_text()


def test_the_documented_defaults_are_the_real_ones():
    shown = documented()
    real = {name: in_words(default) for name, default in variables_read().items() if default is not ...}
    assert {name: shown[name] for name in real} == real
