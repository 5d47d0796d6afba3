"""Take pictures of the console, from a running site with demo data.

    make run                                        # in another terminal
    python docs/screenshots.py                      # the pictures of the docs, into docs/images/
    python docs/screenshots.py --every --to /tmp/x  # every page, wide and narrow, light and dark, to look at

Drives a Chromium that is installed already (Debian: ``apt-get install chromium``); needs the ``playwright`` package
(``pip install playwright``), and no browser download.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

Scheme = Literal["light", "dark"]

PAGES = {  # name -> path; "first:" opens the first row of a list, and "{}" is its number
    "home": "/",
    "dashboard": "/admin/",
    "listings": "/admin/catalog/listing/?status__exact=live",
    "listing": "first:/admin/catalog/listing/?status__exact=live",
    "listing-demand": "first:/admin/catalog/listing/?status__exact=live /admin/catalog/listing/{}/demand/",
    "data-quality": "/admin/catalog/qualityreport/overview/",
    "import-file": "/admin/catalog/importrun/add/",
    "imports": "/admin/catalog/importrun/",
    "import": "first:/admin/catalog/importrun/?status__exact=done",
    "buyers": "/admin/accounts/buyer/",
    "buyer": "first:/admin/accounts/buyer/?known_as=user",
    "buyer-lab": "first:/admin/accounts/buyer/?known_as=user /admin/accounts/buyer/{}/lab/",
    "events": "/admin/recommendations/interaction/",
    "lists": "/admin/recommendations/servedlist/",
    "list": "first:/admin/recommendations/servedlist/",
    "rankers": "/admin/recommendations/rankerversion/",
    "ranker": "first:/admin/recommendations/rankerversion/?status__exact=live",
    "rankers-compared": "/admin/recommendations/rankerversion/compare/",
    "training-runs": "/admin/recommendations/trainingrun/",
    "training-run": "first:/admin/recommendations/trainingrun/",
    "training-form": "/admin/recommendations/trainingrun/add/",
    "taste-map": "first:/admin/accounts/buyer/?known_as=user /admin/recommendations/tastemap/map/?buyer={}",
    "evaluations": "/admin/recommendations/evaluation/",
    "event-kinds": "/admin/recommendations/eventkind/",
    "weights": "/admin/recommendations/eventkind/weights/",
    "placements": "/admin/recommendations/placement/",
    "placement-mix": "first:/admin/recommendations/placement/ /admin/recommendations/placement/{}/mix/",
    "seed-runs": "/admin/recommendations/seedrun/",
    "seed-run": "first:/admin/recommendations/seedrun/",
    "seed-form": "/admin/recommendations/seedrun/add/",
    "schedules": "/admin/django_celery_beat/periodictask/",
    "jobs": "/admin/django_celery_results/taskresult/",
    "queues": "/admin/django_celery_results/taskresult/queues/",
    "users": "/admin/accounts/user/",
    "roles": "/admin/auth/group/",
    "api-keys": "/admin/accounts/apikey/",
    "audit-log": "/admin/accounts/auditentry/",
}
KEPT = (  # what the documentation shows: wide and light
    "dashboard", "listings", "listing-demand", "data-quality", "import-file", "buyer", "buyer-lab", "rankers-compared",
    "training-run", "taste-map", "weights", "placement-mix", "seed-form", "schedules", "queues", "users", "audit-log",
)  # fmt: skip
WIDTHS = {"wide": 1280, "narrow": 390}
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
HEIGHT, LONGEST = 860, 1800


def main() -> None:
    options = read_options()
    if options.browser is None:
        sys.exit("No Chromium found. Install one (Debian: apt-get install chromium) or name it with --browser.")
    options.to.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
        for name, width, scheme, path in wanted(options):
            take(browser, options, name, width, scheme, path)
        browser.close()


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("pages", nargs="*", help=f"which pages, of: {', '.join(PAGES)}")
    parser.add_argument("--site", default="http://127.0.0.1:8000")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--every", action="store_true", help="every page, wide and narrow, light and dark, full length")
    parser.add_argument("--email", default="admin@example.com")
    parser.add_argument("--password", default="forecourt")
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    options = parser.parse_args()
    if unknown := sorted(set(options.pages) - set(PAGES)):
        parser.error(f"unknown pages: {', '.join(unknown)}")
    return options


def wanted(options: argparse.Namespace) -> Iterator[tuple[str, str, Scheme, str]]:
    names = options.pages or (PAGES if options.every else KEPT)
    looks: Iterable[tuple[str, Scheme]] = product(WIDTHS, SCHEMES) if options.every else [("wide", "light")]
    for (width, scheme), name in product(looks, names):
        yield name, width, scheme, PAGES[name]


def take(browser: Browser, options: argparse.Namespace, name: str, width: str, scheme: Scheme, path: str) -> None:
    """One page in one look; a script error on the page is printed, since a picture would not show it."""
    context = browser.new_context(
        base_url=options.site, viewport={"width": WIDTHS[width], "height": HEIGHT}, color_scheme=scheme
    )
    page = context.new_page()
    page.on("pageerror", lambda error: print(f"{name}: {error}", file=sys.stderr))
    page.on("console", lambda said: print(f"{name}: {said.text}", file=sys.stderr) if said.type == "error" else None)
    log_in(page, options)
    open_page(page, path)
    picture = options.to / (f"{name}-{width}-{scheme}.png" if options.every else f"{name}.png")
    length = min(page.evaluate("document.documentElement.scrollHeight"), LONGEST) if options.every else HEIGHT
    page.set_viewport_size({"width": WIDTHS[width], "height": max(length, HEIGHT)})  # bars stick to the lower edge
    page.screenshot(path=picture, animations="disabled")
    print(f"{picture} {picture.stat().st_size // 1024} kB")
    context.close()


def log_in(page: Page, options: argparse.Namespace) -> None:
    page.goto("/admin/")  # asks for a login first
    page.fill("input[name=username]", options.email)
    page.fill("input[name=password]", options.password)
    page.click("button[type=submit]")
    page.wait_for_url("**/admin/")


def open_page(page: Page, path: str) -> None:
    """Pages poll while jobs run, so the network never falls silent: the load event is what to wait for."""
    page.goto(path.removeprefix("first:").partition(" ")[0])
    rows = page.locator("#result_list tbody th a, #result_list tbody td a")
    if path.startswith("first:") and rows.count():  # else the picture is of the empty list
        _, _, then = path.partition(" ")
        first = rows.first.get_attribute("href") or path
        number = re.search(r"/([^/]+)/change/", first)
        page.goto(then.format(number[1]) if then and number else first)
    page.wait_for_load_state("load")
    page.wait_for_timeout(400)  # charts and web fonts draw after the load event


if __name__ == "__main__":
    main()
