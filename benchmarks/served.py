"""What a whole site does over HTTP, and the memory of its processes: a site of its own, made, asked and removed.

python -m benchmarks.served [--port 8192] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from benchmarks.site import MARKET, PROJECT, ROLES, Site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8192)
    parser.add_argument("--json", default="", help="write the figures to this file too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder).resolve(), options.port)
        site.prepare(*MARKET)
        site.start()
        try:
            site.wait_until_ready()
            figures = ask(site, Path(folder, "http.json"))
        finally:
            site.stop()
    print(json.dumps(figures, indent=2))
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2))


def ask(site: Site, file: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.http", "--url", f"http://127.0.0.1:{site.port}", "--json", str(file)]
    subprocess.run([*command, "--seconds", "1", "--rounds", "2", "--loop-rounds", "2"], cwd=PROJECT, check=True)
    measured = json.loads(file.read_text())
    routes = {f"{row['route']}, {row['clients']} clients": row for row in measured["routes"]}
    kept = ("p50_ms", "p99_ms", "per_second")
    return {
        "routes": {name: {each: round(row[each], 2) for each in kept} for name, row in routes.items()},
        "event to changed list": {
            f"{row['buyers']} buyers": {each: round(row[each], 1) for each in ("p50_ms", "p95_ms")}
            for row in measured["loop"]
        },
        "memory": {role: {"mb": megabytes(site, role)} for role in ROLES},
    }


def megabytes(site: Site, role: str) -> int:
    """Of a role's processes, each page counted where it is, shared ones in parts."""
    processes: list[psutil.Process] = [site.leader(role), *site.members(role)]
    bytes_held: float = sum(process.memory_full_info().pss for process in processes)
    return round(bytes_held / 1e6)


if __name__ == "__main__":
    main()
