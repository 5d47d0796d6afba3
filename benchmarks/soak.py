"""A site of its own under steady traffic of 50 buyers: whether its memory and queues stay flat (``make soak``).

    python -m benchmarks.soak [--minutes 20] [--folder DIR] [--port 8191] [--json FILE]

Every ten seconds the memory of each role's processes is read (proportional set size, so that what they share is
counted once), and the lengths of the queues as the site's metrics have them. Compared are the means of the second and
the last quarter of the run; the first one fills caches. Ends with 1 where a role has grown by more than a twentieth,
where a queue has grown by more messages than there are buyers, or where an answer was none that the description
announces.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.chaos.traffic import N_BUYERS, Traffic
from benchmarks.site import MARKET, ROLES, Site, folder_for

SECONDS_BETWEEN = 10.0
GROWTH_AT_MOST = 0.05
ENDLESS = 10**9  # events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--folder", default="", help="where the site's data is kept; a new folder when left out")
    parser.add_argument("--port", type=int, default=8191)
    parser.add_argument("--json", default="", help="write the table to this file too")
    options = parser.parse_args()
    with folder_for(options.folder) as folder:
        site = Site(folder, options.port)
        site.prepare(*MARKET)
        site.start()
        try:
            print(f"ready after {site.wait_until_ready():.0f} s", flush=True)
            report = soak(site, options.minutes * 60)
        finally:
            site.stop()
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1))
    sys.exit(not report["holds"])


def soak(site: Site, seconds: float) -> dict[str, Any]:
    traffic = Traffic(site.port, site.key(), site.listing_ids(), ENDLESS, 0)
    traffic.start()
    sizes: dict[str, list[float]] = defaultdict(list)
    lengths: dict[str, list[float]] = defaultdict(list)
    began_at = time.monotonic()
    while time.monotonic() - began_at < seconds:
        time.sleep(SECONDS_BETWEEN)
        for role in ROLES:
            sizes[role].append(megabytes(site, role))
        for queue, length in queue_lengths(site).items():
            lengths[queue].append(length)
    traffic.stop()
    growth = {role: growth_of(values) for role, values in sizes.items()}
    odd = sorted({(each.route, each.status) for each in traffic.answers if not each.is_announced or not each.status})
    print(f"{len(traffic.answers):,} answers, {len(traffic.acknowledged):,} events in {seconds / 60:.0f} minutes")
    print("role            second quarter  last quarter    growth")
    for role, (early, late, share) in growth.items():
        print(f"{role:14s}  {early:11.0f} MB  {late:9.0f} MB  {share:8.1%}")
    print("queue           second quarter  last quarter   longest")
    halves = {queue: growth_of(values)[:2] for queue, values in lengths.items()}
    for queue, (early, late) in halves.items():
        print(f"{queue:14s}  {early:14.0f}  {late:12.0f}  {max(lengths[queue]):8.0f}")
    print(f"answers that are not announced: {odd or 'none'}")
    is_flat = all(share <= GROWTH_AT_MOST for _, _, share in growth.values())
    return {
        "holds": not odd and is_flat and all(late - early <= N_BUYERS for early, late in halves.values()),
        "answers": len(traffic.answers),
        "events": len(traffic.acknowledged),
        "megabytes": sizes,
        "growth": growth,
        "queues": lengths,
        "not announced": odd,
    }


def megabytes(site: Site, role: str) -> float:
    """Proportional set size of a role's processes together; one that ends meanwhile counts 0."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [site.leader(role), *site.members(role)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total / 1e6


def queue_lengths(site: Site) -> dict[str, float]:
    """Messages that wait in each queue, by the site's last sample; empty where it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        sample.labels["queue"]: sample.value
        for family in text_string_to_metric_families(text)
        if family.name == "forecourt_queue_messages"
        for sample in family.samples
    }


def growth_of(values: list[float]) -> tuple[float, float, float]:
    """Means of the second and of the last quarter, and the growth as a share."""
    quarter = max(len(values) // 4, 1)
    early, late = statistics.mean(values[quarter : 2 * quarter] or values), statistics.mean(values[-quarter:])
    return early, late, late / max(early, 1e-9) - 1


if __name__ == "__main__":
    main()
