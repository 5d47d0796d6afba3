"""The container files say what `make run` does, and nothing that the settings do not know."""

import re
from pathlib import Path

import pytest
import yaml

from recommender_site.local import processes
from tests.recommender_site.test_settings import documented

PROJECT = Path(__file__).resolve().parents[2]
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = ["migrate", "web", "worker", "importer", "trainer", "beat", "scheduler", "training-worker"]
SERVERS = ["database", "redis"]


def of_compose(command: list[str]) -> list[str]:
    """A command of ours as it reads in a container: its own Python, and the key prefix without the tests'."""
    return [
        "python",
        *(word.replace(processes.DEFAULT_QUEUE.removesuffix("default"), "forecourt.") for word in command[1:]),
    ]


@pytest.mark.parametrize(
    ("service", "command"),
    [
        ("migrate", processes.preparation_command()),
        ("web", processes.web_command()),
        ("worker", processes.worker_command()),
        ("importer", processes.importer_command()),
        ("trainer", processes.trainer_command()),
        ("beat", processes.beat_command()),
    ],
)
def test_a_container_runs_the_command_of_make_run(service, command):
    assert SERVICES[service]["command"] == of_compose(command)


def test_the_image_alone_runs_the_web_server():
    command = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[-1]
    assert yaml.safe_load(command) == of_compose(processes.web_command())


@pytest.mark.parametrize("service", OURS)
def test_every_variable_given_to_a_container_is_documented(service):
    names = {name.removesuffix("_FILE") for name in SERVICES[service]["environment"]}
    assert names <= set(documented())


def test_every_variable_taken_from_the_operator_is_documented():
    assert set(re.findall(r"\$\{([A-Z_]+)", (PROJECT / "docker-compose.yml").read_text())) <= set(documented())


def test_the_image_sets_only_documented_variables():
    names = set(re.findall(r"(?:^ENV| )\s*([A-Z_]+)=", "\n".join(re.findall(r"^ENV .*$", DOCKERFILE, re.MULTILINE))))
    of_python = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PIP_NO_CACHE_DIR", "PIP_ROOT_USER_ACTION"}
    assert names - of_python <= set(documented())


def test_what_keeps_running_has_a_health_check_or_says_why_not():
    assert "HEALTHCHECK" in DOCKERFILE  # of the web server, which is what the image runs
    assert "healthcheck" not in SERVICES["web"]
    for name in ["worker", "importer", "trainer", "scheduler", *SERVERS]:
        assert SERVICES[name]["healthcheck"]["test"]
    for name in ["migrate", "beat", "training-worker"]:  # the image's own would ask a web server
        assert SERVICES[name]["healthcheck"] == {"disable": True}


def test_a_cluster_starts_when_asked_for_and_its_parts_find_each_other():
    for name in ("scheduler", "training-worker"):
        assert SERVICES[name]["profiles"] == ["cluster"]
        assert "ports" not in SERVICES[name]  # who reaches them may run code by them
    port = SERVICES["scheduler"]["command"][4]
    assert f"tcp://scheduler:{port}" in SERVICES["training-worker"]["command"]
    assert f"tcp://scheduler:{port}" in (PROJECT / "docker-compose.yml").read_text().partition("name:")[0]


def test_every_image_is_pinned():
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) + [service["image"] for service in SERVICES.values()]
    for image in images:
        name, _, tag = image.partition(":")
        assert tag not in ("", "latest"), name


def test_containers_do_not_run_as_root():
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["forecourt"]


@pytest.mark.parametrize("service", OURS)
def test_secrets_come_from_files(service):
    environment = SERVICES[service]["environment"]
    for variable in ("SECRET_KEY", "DATABASE_PASSWORD"):
        path = environment[f"{variable}_FILE"]
        assert path == f"/run/secrets/{variable.lower()}"
        assert variable.lower() in SERVICES[service]["secrets"]
    assert SERVICES["database"]["environment"]["POSTGRES_PASSWORD_FILE"] == environment["DATABASE_PASSWORD_FILE"]


@pytest.mark.parametrize("server", SERVERS)
def test_data_outlives_the_container(server):
    [volume] = SERVICES[server]["volumes"]
    assert volume.partition(":")[0] in COMPOSE["volumes"]


@pytest.mark.parametrize("service", ["web", "worker", "importer", "trainer", "beat"])
def test_services_wait_for_tables_and_servers(service):
    conditions = {name: condition["condition"] for name, condition in SERVICES[service]["depends_on"].items()}
    assert conditions == {
        "migrate": "service_completed_successfully",
        "database": "service_healthy",
        "redis": "service_healthy",
    }
