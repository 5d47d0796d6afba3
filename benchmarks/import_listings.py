"""Time and memory of an import, beside raw COPYs of the same rows in the same run.

    python -m benchmarks.import_listings FILE [--repeat 3] [--rows 1000000] [--json FILE]

Works in a database of its own (``test_…``), which it makes and removes. Four things are timed, best of ``--repeat``:

* ``import``: ``import_listings`` into an empty catalogue, vectors not included (no ranker is live there);
* ``again``: the same file a second time, when every car is known and unchanged;
* ``copy bare``: COPY of the file's own bytes into a table of text columns without any index, the least a database
  can do;
* ``copy indexed``: COPY of the finished listings into a table like ``catalog_listing``, with its indexes and its
  full-text column but without triggers and foreign keys: what storing them costs, if they came cleaned.

``--rows`` makes a file of so many cars of the file's own rows, each with an id and an odometer reading of its own.

Peak memory is the resident set of the importing process; what it held before the first row is printed beside it.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import django

from recommender_site.local import embedded

LISTING_COLUMNS = """
    SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) FROM information_schema.columns
    WHERE table_name = 'catalog_listing' AND is_generated = 'NEVER'
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0, help="as many as the file has, unless said")
    parser.add_argument("--json", default="", help="write the best figures to this file too")
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
    embedded.ensure("benchmark")
    django.setup()

    from django.db import connection

    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-import-") as directory:
            path = multiplied(arguments.file, arguments.rows, Path(directory)) if arguments.rows else arguments.file
            rounds = [measure(path) for _ in range(arguments.repeat)]
        show(rounds)
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(best_of(rounds)))
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def multiplied(path: Path, n_rows: int, directory: Path) -> Path:
    """A file of ``n_rows`` different cars, made of the rows of another one."""
    with unpacked(path) as source:
        header, *rows = csv.reader(io.TextIOWrapper(source, encoding="utf-8", newline=""))
    odometer = header.index("mileage")
    target = directory / "many.csv"
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["advert id", *header])
        for number in range(n_rows):
            row = list(rows[number % len(rows)])
            row[odometer] = str(int(row[odometer]) + number // len(rows))
            writer.writerow([number, *row])
    return target


def measure(path: Path) -> dict[str, float]:
    """One round of all four, on an empty catalogue."""
    empty_catalogue()
    first = in_a_process_of_its_own(lambda: one_import(path))
    second = in_a_process_of_its_own(lambda: one_import(path))
    with tempfile.TemporaryFile() as listings:
        copy_out(listings)
        return {
            "rows": first["rows"],
            "import": first["seconds"],
            "import_cpu": first["cpu_seconds"],
            "again": second["seconds"],
            "copy bare": copy_bare(path),
            "copy indexed": copy_indexed(listings),
            "held_mb": first["held_mb"],
            "peak_mb": first["peak_mb"],
        }


def one_import(path: Path) -> dict[str, float]:
    from catalog.imports.store import import_listings

    held = resident_mb()
    started, worked = time.perf_counter(), time.process_time()
    run = import_listings(path=path)
    return {
        "rows": run.rows_read,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - worked,
        "held_mb": held,
        "peak_mb": resident_mb(),
    }


def resident_mb() -> float:
    """The largest resident set so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_process_of_its_own(work: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Memory is measured by its peak, which never falls, so each measurement needs a fresh process."""
    from django.db import connection

    connection.close()
    connection.close_pool()  # type: ignore[attr-defined] # of PostgreSQL's alone
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = 1
        try:
            with os.fdopen(writer, "w") as result:
                json.dump(work(), result)
            status = 0
        finally:
            os._exit(status)  # no atexit here: the servers are the parent's
    os.close(writer)
    with os.fdopen(reader) as result:
        answer = result.read()
    os.waitpid(child, 0)
    figures: dict[str, float] = json.loads(answer)
    return figures


def empty_catalogue() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE catalog_make, catalog_seller, catalog_importrun, catalog_listingchange CASCADE")


def copy_bare(path: Path) -> float:
    from django.db import connection

    from catalog.imports.dialects import open_rows
    from catalog.imports.headings import HeaderReader

    with open_rows(path, HeaderReader()) as rows:
        columns = ", ".join(f"c{index} text" for index in range(len(rows.headings)))
        delimiter = rows.dialect.delimiter
    with connection.cursor() as cursor, unpacked(path) as source:
        cursor.execute(f"CREATE TEMP TABLE bare ({columns})")
        started = time.perf_counter()
        with cursor.copy(f"COPY bare FROM STDIN (FORMAT csv, HEADER, DELIMITER '{delimiter}')") as copy:
            pour(source, copy)
        seconds = time.perf_counter() - started
        cursor.execute("DROP TABLE bare")
    return seconds


def copy_out(target: IO[bytes]) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(LISTING_COLUMNS)
        (columns,) = cursor.fetchone()
        with cursor.copy(f"COPY (SELECT {columns} FROM catalog_listing) TO STDOUT (FORMAT binary)") as copy:  # noqa: S608 -- our own column names
            for block in copy:
                target.write(block)


def copy_indexed(source: IO[bytes]) -> float:
    from django.db import connection

    source.seek(0)
    with connection.cursor() as cursor:
        cursor.execute(LISTING_COLUMNS)
        (columns,) = cursor.fetchone()
        cursor.execute("CREATE TABLE indexed (LIKE catalog_listing INCLUDING ALL)")
        started = time.perf_counter()
        with cursor.copy(f"COPY indexed ({columns}) FROM STDIN (FORMAT binary)") as copy:
            pour(source, copy)
        seconds = time.perf_counter() - started
        cursor.execute("DROP TABLE indexed")
    return seconds


def unpacked(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.read_bytes()[:2] == b"\x1f\x8b" else path.open("rb")  # type: ignore[return-value]


def pour(source: IO[bytes], copy: Any) -> None:
    while block := source.read(1 << 16):
        copy.write(block)


def best_of(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(min(measured[name] for measured in rounds), 3) for name in rounds[0]}


def show(rounds: list[dict[str, float]]) -> None:
    best = best_of(rounds)
    n_rows = int(best["rows"])
    print(f"{n_rows:,} rows, best of {len(rounds)}")
    print()
    print("| what | seconds | rows/s | times copy bare | times copy indexed |")
    print("|---|---|---|---|---|")
    for name in ("copy bare", "copy indexed", "import", "again"):
        seconds = best[name]
        ratios = f"{seconds / best['copy bare']:.1f} | {seconds / best['copy indexed']:.1f}"
        print(f"| {name} | {seconds:.2f} | {n_rows / seconds:,.0f} | {ratios} |")
    print()
    print(f"Python's own share of the import is {best['import_cpu']:.1f} s; the rest is the database's.")
    print(
        f"Peak memory of the import: {best['peak_mb']:.0f} MB, of which {best['held_mb']:.0f} MB before the first row."
    )


if __name__ == "__main__":
    main()
