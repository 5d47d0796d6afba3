"""An import that is killed half-way, asked inside the site's own environment; each prints one JSON object.

python -m benchmarks.chaos.imports begin N SOURCE        # queues a file of N cars; returns once a part is stored
python -m benchmarks.chaos.imports end RUN SECONDS       # waits until the run has ended
python -m benchmarks.chaos.imports truths RUN N SOURCE   # what does not hold; imports the file once more
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import sys
import time
from typing import Any

from recommender_site.local import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
embedded.ensure()

import django  # noqa: E402

django.setup()

from django.core.files.base import ContentFile  # noqa: E402
from django.db.models import Count  # noqa: E402

from catalog.imports.jobs import queue_import  # noqa: E402
from catalog.imports.options import ImportOptions  # noqa: E402
from catalog.imports.uploads import keep_file  # noqa: E402
from catalog.models import ImportedListing, ImportRun, Listing  # noqa: E402
from jobs.queue import enqueue  # noqa: E402

CARS = (("Ford", "Focus"), ("Volkswagen", "Golf"), ("Toyota", "Yaris"), ("BMW", "X3"))
HEADER = ("id", "make", "model", "year", "price", "mileage", "seller id", "seller name", "status")
COLUMNS = ("external_id", "make__name", "car_model__name", "year", "price", "mileage_km", "seller__name", "status")
PATIENCE_SECONDS = 300.0
POLL_SECONDS = 0.05


def cars(n: int, source: str) -> list[tuple[Any, ...]]:
    """The rows of the file, by chance but the same for the same arguments.

    The cars are sold ones, so that the lists of the turn, and what the dealer sells of them, are those of the market.
    Their ids take those of listings past a power of two.
    """
    rng = random.Random(f"{n} {source}")
    return [
        (
            f"{source}-{number}", *rng.choice(CARS), rng.randrange(2005, 2024), rng.randrange(3_000, 40_000),
            rng.randrange(100, 200_000), f"dealer-{number % 40}", f"Dealer {number % 40}", "sold",
        )
        for number in range(n)
    ]  # fmt: skip


def begin(n: int, source: str) -> dict[str, Any]:
    """Queue the import, and return as soon as some of the cars are stored and others are not."""
    run = queue(n, source)
    wait_for(run, lambda: bool(run.listings_created) or not run.is_unfinished)
    return {"run": run.pk, "stored": run.listings_created, "status": run.status}


def end(run_id: int, seconds: float) -> dict[str, Any]:
    run = ImportRun.objects.get(pk=run_id)
    wait_for(run, lambda: not run.is_unfinished, seconds)
    return {"status": run.status, "attempts": run.attempt, "created": run.listings_created, "error": run.error}


def truths(run_id: int, n: int, source: str) -> dict[str, Any]:
    """What does not hold of the stored cars, after the import that was killed and after the same file once more."""
    run = ImportRun.objects.get(pk=run_id)
    wrong: dict[str, Any] = dict(wrong_of(n, source))
    if run.status == ImportRun.Status.DONE:
        counts = {"read": run.rows_read, "created": run.listings_created, "noted": run.imported.count()}
        wrong |= {name: count for name, count in counts.items() if count != n}
    elif not run.error:
        wrong["ended without a reason"] = run.status
    again = queue(n, source)
    wait_for(again, lambda: not again.is_unfinished)
    missing = n - run.listings_created
    counts = {"created again": again.listings_created - missing, "changed again": again.listings_updated}
    wrong |= {name: count for name, count in counts.items() if count}
    if again.status != ImportRun.Status.DONE:
        wrong["the second import"] = f"{again.status}: {again.error}"
    return wrong | {f"{name} after the second import": count for name, count in wrong_of(n, source).items()}


def wrong_of(n: int, source: str) -> dict[str, int]:
    """Cars of the source beside the rows of its file: doubled, unlike their row, or noted twice."""
    stored = Listing.objects.filter(source=source)
    rows = {(key, *rest[:5], *rest[6:]) for key, *rest in cars(n, source)}
    found = set(stored.values_list(*COLUMNS))
    doubled = stored.order_by().values("external_id").annotate(n=Count("id")).filter(n__gt=1)
    noted = ImportedListing.objects.filter(run__source=source, is_new=True).order_by()
    counts = {
        "unlike the file": len(found - rows),
        "doubled": doubled.count(),
        "noted twice": noted.values("listing_id").annotate(n=Count("id")).filter(n__gt=1).count(),
    }
    return {name: count for name, count in counts.items() if count}


def queue(n: int, source: str) -> ImportRun:
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *cars(n, source)])
    upload = keep_file(file=ContentFile(text.getvalue().encode(), name=f"{source}.csv"))
    options = ImportOptions(source=source, distance_unit="km", currency="GBP", new_makes=True)
    run = queue_import(upload=upload, options=options)
    enqueue(ImportRun.TASK, run.pk)
    return run


def wait_for(run: ImportRun, condition: Any, seconds: float = PATIENCE_SECONDS) -> None:
    """Read the run anew until a condition holds. Raises TimeoutError after so many seconds."""
    ends_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends_at:
            raise TimeoutError(f"import {run.pk} is {run.status} after {seconds:.0f} s, {run.rows_read} rows read")
        time.sleep(POLL_SECONDS)
        run.refresh_from_db()


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "begin":
        found = begin(int(rest[0]), rest[1])
    elif what == "end":
        found = end(int(rest[0]), float(rest[1]))
    else:
        found = truths(int(rest[0]), int(rest[1]), rest[2])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
