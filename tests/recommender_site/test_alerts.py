"""Every alert fires when it should and not before, as Prometheus itself evaluates it; and every one has a runbook.

``promtool`` is in Debian's package ``prometheus``, and in the releases of Prometheus.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.recommender_site.test_monitoring import MONITORING, RULES

PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None and not os.environ.get("REQUIRE_PROMTOOL"),  # set where it may not be missing
    reason="promtool is not installed (Debian: prometheus)",
)
RULES_BY_NAME = {rule["alert"]: rule for rule in RULES}

# By alert: the labels it fires with beside its severity, the series it fires on from some minute of the first hour on,
# and series it stays silent on. A series is (name with labels, values of one a minute).
GROWS, STANDS = "0+10x120", "7+0x120"
CASES: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str]]] = {
    "WebDoesNotAnswer": (
        {"job": "web"},
        {'up{job="web"}': "0x120"},
        {'up{job="web"}': "1x120", 'up{job="a"}': "0x120"},
    ),
    "WorkerDoesNotAnswer": (
        {"job": "workers", "instance": "importer:9100"},
        {'up{job="workers", instance="importer:9100"}': "0x120"},
        {'up{job="workers", instance="importer:9100"}': "0 1x120"},
    ),
    "ServerDoesNotAnswer": (
        {"server": "cache"},
        {'forecourt_scrape_failed{server="cache"}': "1x120"},
        {'forecourt_scrape_failed{server="cache"}': "0x120"},
    ),
    "ServedListsAreLost": (
        {},
        {"forecourt_served_lists_lost_total": GROWS},
        {"forecourt_served_lists_lost_total": STANDS},
    ),
    "ReplicaIsLeftOut": (
        {"replica": "replica-2"},
        {
            'forecourt_replica_used{replica="replica-2"}': "0x120",
            'forecourt_replica_used{replica="replica-1"}': "1x120",
        },
        {'forecourt_replica_used{replica="replica-2"}': "0 0 1 0 0 1x115"},
    ),
    "NoSamples": ({}, {"forecourt_sample_age_seconds": "121x120"}, {"forecourt_sample_age_seconds": "119x120"}),
    "LoopIsBroken": ({}, {"forecourt_probe_succeeded": "0x120"}, {"forecourt_probe_succeeded": "0 0 1 0 0 1x115"}),
    "LoopIsNotProbed": ({}, {"forecourt_probe_age_seconds": "301x120"}, {"forecourt_probe_age_seconds": "60x120"}),
    "PreferencesBehind": (
        {},
        {"forecourt_preference_lag_seconds": "61x120"},
        {"forecourt_preference_lag_seconds": "9x120"},
    ),
    "QueueGrows": (
        {},
        {'forecourt_queue_messages{queue="a"}': "3000x120", 'forecourt_queue_messages{queue="b"}': "3000x120"},
        {'forecourt_queue_messages{queue="a"}': "3000x120", 'forecourt_queue_messages{queue="b"}': "9000 0x119"},
    ),
    "ScheduleIsLate": (
        {"schedule": "Retrain"},
        {'forecourt_schedule_overdue_seconds{schedule="Retrain"}': "0+60x120"},
        {'forecourt_schedule_overdue_seconds{schedule="Retrain"}': "0 300 599 0x117"},
    ),
    "MonthsAreMissing": (
        {"table": "a"},
        {'forecourt_months_ahead_seconds{table="a"}': "1209599x120"},
        {'forecourt_months_ahead_seconds{table="a"}': "1209601x120"},
    ),
    "ScheduleIsOff": (
        {"schedule": "Retrain"},
        {'forecourt_schedule_off_seconds{schedule="Retrain"}': "604700+60x120"},
        {'forecourt_schedule_off_seconds{schedule="Retrain"}': "86400x120"},
    ),
    "TasksAreRefused": (
        {"task": "a"},
        {'forecourt_queue_failures_total{task="a"}': GROWS},
        {'forecourt_queue_failures_total{task="a"}': STANDS},
    ),
    "WebhooksAreLate": (
        {},
        {"forecourt_webhook_oldest_waiting_seconds": "901x120"},
        {"forecourt_webhook_oldest_waiting_seconds": "0 600 1200 0x117"},
    ),
    "WebhooksAreGivenUp": (
        {"outcome": "dead"},
        {'forecourt_webhook_deliveries_total{outcome="dead"}': GROWS},
        {
            'forecourt_webhook_deliveries_total{outcome="dead"}': STANDS,
            'forecourt_webhook_deliveries_total{outcome="delivered"}': GROWS,
        },
    ),
    "RankerIsOld": (
        {},
        {"forecourt_live_ranker_age_seconds": "259201x120"},
        {"forecourt_live_ranker_age_seconds": "86400x120"},
    ),
    "DataDisagree": (
        {"check": "items_without_id"},
        {'forecourt_inconsistent_rows{check="items_without_id"}': "3x120"},
        {'forecourt_inconsistent_rows{check="items_without_id"}': "0x120"},
    ),
    "PagesFail": (
        {},
        {
            'django_http_responses_total_by_status_total{status="500"}': "0+2x120",
            'django_http_responses_total_by_status_total{status="200"}': "0+100x120",
        },
        {
            'django_http_responses_total_by_status_total{status="500"}': "0+1x120",
            'django_http_responses_total_by_status_total{status="200"}': "0+200x120",
        },
    ),
    "ListsAreSlow": (
        {},
        {
            'forecourt_list_seconds_bucket{le="0.5"}': "0+90x120",
            'forecourt_list_seconds_bucket{le="1.0"}': "0+100x120",
            'forecourt_list_seconds_bucket{le="+Inf"}': "0+100x120",
        },
        {
            'forecourt_list_seconds_bucket{le="0.5"}': "0+96x120",
            'forecourt_list_seconds_bucket{le="+Inf"}': "0+100x120",
        },
    ),
    "RowsAreLeftOut": (
        {"batch": "imports"},
        {'forecourt_rows_left_out_total{batch="imports"}': GROWS},
        {'forecourt_rows_left_out_total{batch="imports"}': STANDS},
    ),
    "FeedFails": (
        {},
        {
            'forecourt_feed_request_seconds_count{status="503"}': "0+2x120",
            'forecourt_feed_request_seconds_count{status="200"}': "0+100x120",
        },
        {'forecourt_feed_request_seconds_count{status="200"}': "0+100x120"},
    ),
    "FeedIsSlow": (
        {},
        {
            'forecourt_feed_request_seconds_bucket{route="recs", le="0.5"}': "0+90x120",
            'forecourt_feed_request_seconds_bucket{route="recs", le="1.0"}': "0+100x120",
            'forecourt_feed_request_seconds_bucket{route="recs", le="+Inf"}': "0+100x120",
        },
        {
            'forecourt_feed_request_seconds_bucket{route="recs", le="0.5"}': "0+96x120",
            'forecourt_feed_request_seconds_bucket{route="recs", le="+Inf"}': "0+100x120",
        },
    ),
}


def test_every_alert_has_a_case_and_a_runbook():
    assert set(CASES) == set(RULES_BY_NAME)
    runbook = (MONITORING.parent / "docs/operations.md").read_text().partition("\n## Runbook")[2]
    assert re.findall(r"^### (\w+)$", runbook, re.MULTILINE) == [rule["alert"] for rule in RULES]


def annotations(rule: dict, labels: dict[str, str], value: str) -> dict[str, str]:
    def filled(text: str) -> str:
        text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)
        return text.replace("{{ $value }}", value)

    return {name: filled(text) for name, text in rule["annotations"].items()}


def promtool_case(name: str, *, is_bad: bool) -> dict:
    """An hour of one case, and whether the alert is there at its end."""
    labels, bad, good = CASES[name]
    rule = RULES_BY_NAME[name]
    fires = {
        "exp_labels": {**labels, **rule["labels"]},
        "exp_annotations": annotations(rule, labels, bad[next(iter(bad))].partition("x")[0]),
    }
    return {
        "name": f"{name} {'fires' if is_bad else 'stays silent'}",
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in (bad if is_bad else good).items()],
        "alert_rule_test": [{"eval_time": "60m", "alertname": name, "exp_alerts": [fires] if is_bad else []}],
    }


def promtool(*arguments: str) -> None:
    done = subprocess.run([str(PROMTOOL), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_every_alert_fires_when_it_should_and_not_otherwise(tmp_path: Path):
    document = {
        "rule_files": [str(MONITORING / "alerts.yml")],
        "evaluation_interval": "1m",
        "tests": [promtool_case(name, is_bad=is_bad) for name in CASES for is_bad in (True, False)],
    }
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(document, allow_unicode=True))
    promtool("test", "rules", str(tmp_path / "cases.yml"))


@needs_promtool
def test_prometheus_takes_its_configuration():
    promtool("check", "config", "--lint-fatal", str(MONITORING / "prometheus.yml"))
