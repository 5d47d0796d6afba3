"""The files for Prometheus, Loki and Grafana fit together, and name metrics that exist."""

import json
import re
from pathlib import Path

import pytest
import yaml
from django.db import connection
from django.test import Client
from prometheus_client import REGISTRY

from recommender_site import celery
from recommender_site.http import metrics
from tests.recommender_site.test_containers import COMPOSE, SERVICES

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
DASHBOARDS = sorted((MONITORING / "grafana/dashboards").glob("*.json"))
DATA_SOURCES = {
    source["uid"]: source
    for path in (MONITORING / "grafana/provisioning/datasources").glob("*.yml")
    for source in yaml.safe_load(path.read_text())["datasources"]
}
PROMETHEUS = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
RULES = [
    rule
    for name in PROMETHEUS["rule_files"]
    for group in yaml.safe_load((MONITORING / name).read_text())["groups"]
    for rule in group["rules"]
]
OF_PROMETHEUS = {"up"}
IN_MONITORING = {name: service for name, service in SERVICES.items() if service.get("profiles") == ["monitoring"]}


def names_in(expression: str) -> set[str]:
    """The metrics an expression asks for: words that are no function, label or keyword."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on|without) \([^)]*\)", " ", expression)
    return set(re.findall(r"\b(up|(?:forecourt|django)_\w+)\b", bare))


def known_names() -> set[str]:
    """Every series of this process, without a sample too, and of what is asked at each scrape."""
    names = set(OF_PROMETHEUS)
    for family in REGISTRY.collect():
        base = family.name
        names |= {base, f"{base}_total", f"{base}_bucket", f"{base}_sum", f"{base}_count"}
    source = Path(metrics.__file__).read_text()
    return names | set(re.findall(r'GaugeMetricFamily\(\s*"(\w+)"', source))


def panels() -> list[tuple[str, dict]]:
    return [(path.name, panel) for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]


@pytest.mark.django_db
def test_rules_and_panels_ask_for_metrics_that_exist():
    Client().get("/healthz")  # some are made by the first request
    assert connection.alias
    assert celery.app.main
    known = known_names()
    for rule in RULES:
        assert names_in(rule["expr"]), rule["alert"]
        assert names_in(rule["expr"]) <= known, rule["alert"]
    for name, panel in panels():
        for target in panel["targets"]:
            if panel["datasource"]["type"] == "prometheus":
                assert names_in(target["expr"]), (name, panel["title"])
                assert names_in(target["expr"]) <= known, (name, panel["title"])


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_what_happened_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["action"].endswith(".")


def test_a_broken_loop_and_an_absent_probe_are_alerts():
    used = {name for rule in RULES for name in names_in(rule["expr"])}
    assert {"forecourt_probe_succeeded", "forecourt_probe_age_seconds", "forecourt_scrape_failed", "up"} <= used


def test_no_two_alerts_have_one_name():
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("path", DASHBOARDS, ids=[path.stem for path in DASHBOARDS])
def test_a_dashboard_is_laid_out_without_overlaps_and_every_panel_is_explained(path):
    dashboard = json.loads(path.read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["description"].endswith("."), panel["title"]
        assert DATA_SOURCES[panel["datasource"]["uid"]]["type"] == panel["datasource"]["type"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_dashboards_have_names_of_their_own():
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == len(boards)


def test_prometheus_asks_services_of_the_stack_on_the_ports_they_open():
    for job in PROMETHEUS["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            service, _, port = target.partition(":")
            opened = SERVICES[service].get("expose", []) + SERVICES[service].get("ports", [])
            assert any(each.endswith(port) for each in opened), target


def test_data_sources_are_services_of_the_stack():
    for source in DATA_SOURCES.values():
        assert re.fullmatch(r"http://(\w+):\d+", source["url"])[1] in IN_MONITORING  # type: ignore[index]


def test_monitoring_starts_only_when_asked_for():
    assert set(IN_MONITORING) == {"prometheus", "loki", "logs", "grafana"}


@pytest.mark.parametrize("name", ["prometheus", "loki", "logs", "grafana"])
def test_what_a_container_reads_is_in_the_repository_and_what_it_keeps_is_a_volume(name):
    for volume in SERVICES[name]["volumes"]:
        source, _, *options = volume.split(":")
        if source.startswith("./"):
            assert (MONITORING.parent / source).exists(), source
            assert options == ["ro"]
        elif not source.startswith("/"):
            assert source in COMPOSE["volumes"]


def test_the_dashboards_are_where_grafana_looks_and_open_for_this_machine_only():
    [provider] = yaml.safe_load((MONITORING / "grafana/provisioning/dashboards/forecourt.yml").read_text())["providers"]
    folders = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in folders
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).name in {path.name for path in DASHBOARDS}
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["grafana"]["ports"])


def test_logs_are_taken_from_the_containers_of_this_project():
    config = (MONITORING / "config.alloy").read_text()
    assert f"com.docker.compose.project={COMPOSE['name']}" in config
    assert config.count("{") == config.count("}")
    assert DATA_SOURCES["loki"]["url"] + "/loki/api/v1/push" in config
