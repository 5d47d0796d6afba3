"""How gunicorn serves the site: threads, because the views wait for PostgreSQL and numpy lets go of the lock."""

import gc
import os
from importlib import import_module
from typing import Any

from prometheus_client import multiprocess

from recommender_site import settings

bind = f"{settings.HOST}:{settings.PORT}"
worker_class = "recommender_site.http.web_process.WebProcess"
workers = settings.WEB_PROCESSES
threads = settings.WEB_THREADS
timeout = 60  # seconds without a sign of life before a process is replaced
graceful_timeout = 10  # seconds for running requests when the server stops
keepalive = 5  # seconds; clients that poll keep their connection
limit_request_line = 8190  # bytes; a search with every filter fits, and a page that follows it
loglevel = settings.LOG_LEVEL.lower()
SECONDS_TO_PREPARE = 20.0  # less than the timeout; a longer load goes on beside the first requests
control_socket_disable = True  # the supervisor is in control


def post_worker_init(worker: Any) -> None:
    import_module("recommender_site.http.fast_lane").keep_connections()  # the site is loaded by now
    import_module("web.servers").watch_database()
    metrics = import_module("recommender_site.http.metrics")
    metrics.sampler.start()
    if settings.WEB_METRICS_PORT:
        metrics.serve_on(settings.HOST, settings.WEB_METRICS_PORT)
    import_module("recommendations.serving.startup").prepare_to_serve(SECONDS_TO_PREPARE)
    gc.freeze()  # what is loaded by now stays for good: the collector need not look at it again and again


def child_exit(server: Any, worker: Any) -> None:
    """Counters of a process that is gone stay in the sums, its gauges do not."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)
