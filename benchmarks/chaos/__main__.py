"""One fault after another under traffic, and what holds after each (``make chaos``).

    python -m benchmarks.chaos [--folder DIR] [--port 8190] [--events 600] [--faults TEXT] [--json FILE]

It starts a site of its own (demo stock; its data goes to DIR, a new folder by default), lets a car site's server and a
dealer go on, and for each fault prints: events acknowledged, lost and doubled; preferences that differ from those
computed anew; what check_data finds; sold cars that a list still showed; answers that the description does not
announce; how long no list was answered, how slow a refusal was, and p50 and p95 of lists that were. Ends with 1 where
something did not hold.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.chaos.faults import FAULTS, Fault
from benchmarks.chaos.traffic import Answered, Traffic
from benchmarks.site import MARKET, Site, folder_for

SECONDS_AFTER = 5.0
MIDDLE_AT_LATEST = 90.0  # seconds after which something is broken, be half of the events acknowledged or not


def main() -> None:
    options = parsed()
    with folder_for(options.folder) as folder:
        site = Site(folder, options.port)
        site.prepare(*MARKET)
        site.start()
        try:
            print(f"ready after {site.wait_until_ready():.0f} s", flush=True)
            rows = run_all(site, options)
        finally:
            site.stop()
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1))
    sys.exit(not all(row["holds"] for row in rows))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default="", help="where the site's data is kept; a new folder when left out")
    parser.add_argument("--port", type=int, default=8190)
    parser.add_argument("--events", type=int, default=600, help="sent in each turn, half of them before the fault")
    parser.add_argument("--faults", default="", help="only those whose name contains this; or one of several, A|B")
    parser.add_argument("--json", default="", help="write the table to this file too")
    return parser.parse_args()


def run_all(site: Site, options: argparse.Namespace) -> list[dict[str, Any]]:
    key, listing_ids = site.key(), site.listing_ids()
    rows = []
    for number, (name, fault) in enumerate(FAULTS.items()):
        if not named_in(options.faults, name):
            continue
        if problem := fault.problem():
            rows.append({"fault": name, "holds": True, "left out": problem})
        else:
            with fault.around(site):
                traffic = Traffic(site.port, key, listing_ids, options.events, number)
                rows.append({"fault": name, **under_traffic(site, fault, traffic)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def named_in(texts: str, name: str) -> bool:
    """Whether a fault's name contains one of the texts, which bars keep apart; an empty text names all."""
    return any(text in name for text in texts.split("|"))


def under_traffic(site: Site, fault: Fault, traffic: Traffic) -> dict[str, Any]:
    """Break something in the middle of the traffic; what was seen, and what is stored afterwards."""
    traffic.start()
    waits_until = time.monotonic() + MIDDLE_AT_LATEST
    while not traffic.is_half_through and time.monotonic() < waits_until:
        time.sleep(0.02)
    before = len(traffic.acknowledged)
    began_at = time.monotonic()
    fault.make(site)
    over_at = time.monotonic()
    back = site.wait_until_ready(180)
    waits_until = time.monotonic() + 120
    while not traffic.events_are_through and time.monotonic() < waits_until:
        time.sleep(0.2)
    time.sleep(SECONDS_AFTER)
    traffic.stop()
    stored = {**truths_after(site, traffic.acknowledged), "besides": fault.truths(site)}
    odd = sorted({(each.route, each.status) for each in traffic.answers if not each.is_announced})
    return {
        "holds": not (any(stored.values()) or odd or traffic.sold_shown),
        "acknowledged": len(traffic.acknowledged),
        "before the fault": before,
        **stored,
        "sold": len(traffic.sold),
        "sold shown": traffic.sold_shown,
        "not announced": odd,
        "seconds of the fault": round(over_at - began_at, 1),
        "seconds until ready": round(back, 1),
        **times_of([each for each in traffic.answers if each.route == "list" and each.at >= began_at - 1]),
    }


def truths_after(site: Site, acknowledged: list[str]) -> dict[str, Any]:
    path = site.folder / "acknowledged.json"
    path.write_text(json.dumps(acknowledged))
    return site.asked("benchmarks.chaos.truths", path)


def times_of(answers: list[Answered]) -> dict[str, Any]:
    """Of lists during and after the fault: how long none came, how slow the refusals were, p50 and p95 in ms."""
    good = sorted((each for each in answers if each.status == 200), key=lambda each: each.at + each.seconds)
    ends = [each.at + each.seconds for each in good]
    refused = [each.seconds for each in answers if each.status == 503]
    cuts = statistics.quantiles([each.seconds * 1000 for each in good], n=20) if len(good) > 1 else [0.0] * 19
    return {
        "lists": len(good),
        "refused": len(refused),
        "slowest refusal, s": round(max(refused, default=0), 2),
        "longest without a list, s": round(max((b - a for a, b in itertools.pairwise(ends)), default=0), 2),
        "p50, ms": round(cuts[9]),
        "p95, ms": round(cuts[18]),
    }


if __name__ == "__main__":
    main()
