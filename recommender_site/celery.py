"""The Celery application. Tasks live in ``tasks/``; settings.CELERY_IMPORTS lists its modules."""

import os
import warnings
from typing import Any

from celery import Celery, signals
from celery.platforms import SecurityWarning
from prometheus_client import CollectorRegistry, multiprocess, start_http_server

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")

# Root may run a worker here: the warning is about pickled messages, and ours are JSON.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("forecourt")
app.config_from_object("django.conf:settings", namespace="CELERY")


@signals.worker_init.connect
def watch_worker(**kwargs: Any) -> None:
    """Traces and reports of errors, where the settings ask for them; processes of the pool go on with them."""
    from recommender_site.watching.begin import begin_watching

    begin_watching("forecourt-worker")


@signals.worker_init.connect
def serve_worker_metrics(**kwargs: Any) -> None:
    """Serve what all processes of this worker have counted, on WORKER_METRICS_PORT; not at all without one."""
    from django.conf import settings

    if not settings.WORKER_METRICS_PORT:
        return
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    start_http_server(settings.WORKER_METRICS_PORT, registry=registry)


@signals.worker_process_shutdown.connect
def forget_gauges_of_ended_process(pid: int, **kwargs: Any) -> None:
    """Counters of a process that is gone stay in the sums, its gauges do not."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(pid)
