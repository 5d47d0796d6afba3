"""``python -m recommender_site`` runs the whole of Forecourt; ``make run`` comes here."""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from django.core.exceptions import ImproperlyConfigured

from recommender_site import env  # noqa: F401 (env reads the .env file)
from recommender_site.local import embedded
from recommender_site.local.home import EmbeddedError, state_directory
from recommender_site.local.supervisor import (
    AlreadyRunsError,
    Supervisor,
    end_leftovers,
    end_with_parent,
    only_one,
    reserve_address,
    say,
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m recommender_site", description="Run the whole of Forecourt.")
    parser.add_argument("--stop-with-parent", action="store_true", help="stop when the process that started this dies")
    if parser.parse_args().stop_with_parent:
        end_with_parent()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
    try:
        state = state_directory()
        with only_one(state):
            end_leftovers(state)
            return run(state)
    except (AlreadyRunsError, EmbeddedError, ImproperlyConfigured) as problem:
        refuse(problem)
    except KeyboardInterrupt:  # before the supervisor listens to signals
        return 128 + signal.SIGINT
    except PermissionError as problem:
        refuse(f"{problem}. Set EMBEDDED_DIR to a directory of your own")
    except OSError as problem:  # a disk that is full, above all
        refuse(f"{problem.strerror or problem}{f': {problem.filename}' if problem.filename else ''}")


def run(state: Path) -> int:
    """Prepare and run everything until asked to stop; returns the exit code."""
    lease = embedded.ensure()
    from recommender_site import settings  # which need the addresses just exported
    from recommender_site.local import processes

    host, port = settings.HOST, settings.PORT
    try:
        web_socket = reserve_address(host, port)
    except OSError as problem:
        advice = f"Stop what uses it, or choose another: PORT={port + 1} make run"
        refuse(f"cannot listen on {host} port {port} ({problem.strerror}). {advice}")
    if lease is not None:
        say(f"using embedded PostgreSQL and Valkey; their data is in {lease.home.base}")
    supervisor = Supervisor(state, lease, processes.announce_when_ready)
    with web_socket:
        code = supervisor.run_to_end(processes.preparation_command())
        if code == 0:
            with processes.counters_of(state) as counters:
                supervisor.run(processes.services(counters, web_socket))
    if lease is not None:
        lease.release()
    return 0 if supervisor.is_stopping else code


def refuse(problem: object) -> NoReturn:
    """End with one line, so that the cause is not looked for among others."""
    sys.exit(f"Forecourt does not start: {' '.join(str(problem).split())}")


if __name__ == "__main__":
    sys.exit(main())
