"""The snippet and the widget in a page of another site, as a visitor's browser runs them."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from catalog.models import Listing
from recommendations.models import Interaction
from tests.factories import ListingFactory

PAGE = """<!doctype html><html lang="en"><body>
<script src="{site}/static/sdk/snippet.js" data-consent="required" defer></script>
<script src="{site}/static/sdk/widget.js" defer></script>
{body}</body></html>"""
LIST = """<forecourt-list k="2" more="Show more" max_price="20000"></forecourt-list>"""
CAR = """<main data-forecourt-view="{car}" data-forecourt-source="garage"></main>"""


@pytest.fixture
def dealer(site: str, settings: Any) -> Iterator[str]:
    """A dealer's site, at an origin of its own that may call the API: /list has the widget, /cars/W-1 is of a car."""

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            body = CAR.format(car=self.path.rpartition("/")[2]) if self.path.startswith("/cars/") else LIST
            self.wfile.write(PAGE.format(site=site, body=body).encode())

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("localhost", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://localhost:{server.server_port}"
    settings.CORS_ALLOWED_ORIGINS = [address]
    settings.WINDOW_STALENESS_SECONDS = 0
    yield address
    server.shutdown()


HEAR = """const real = navigator.sendBeacon.bind(navigator);
navigator.sendBeacon = (address, body) => { heard(body); return real(address, body); };"""


@pytest.fixture
def page(browser: Any, dealer: str) -> Iterator[Any]:
    """A page of the dealer, whose test fails when a script does; what it sends is noted in ``page.sent``."""
    page = browser.new_context(base_url=dealer).new_page()
    page.sent = []
    page.expose_function("heard", lambda body: page.sent.append(json.loads(body)))
    page.add_init_script(HEAR)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    assert wrong == []


@pytest.fixture
def cars(dealer: str) -> None:
    for number in range(4):
        ListingFactory(
            external_id=f"W-{number}", source="garage", price=9_000 + number, url=f"{dealer}/cars/W-{number}"
        )


def happened(page: Any) -> list[tuple[str, int | None]]:
    page.evaluate("forecourt.flush()")
    page.wait_for_timeout(50)
    return [(event["kind"], event.get("position")) for body in page.sent for event in body["events"]]


def test_what_a_visitor_sees_clicks_and_opens_is_attributed_once_they_consent(page, cars):
    page.goto("/list")
    page.wait_for_selector(".forecourt-card")
    page.get_by_text("Show more").click()
    page.wait_for_function("document.querySelectorAll('li').length === 4")
    page.wait_for_timeout(1100)
    assert happened(page) == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0

    page.evaluate("forecourt.consent(true)")
    key = page.evaluate("forecourt.key()")
    page.reload()
    page.wait_for_selector(".forecourt-card")
    page.wait_for_timeout(1200)
    assert sorted(happened(page)) == [("impression", 1), ("impression", 2)]
    with page.expect_navigation():
        page.locator("li a").first.click()
    assert happened(page)[2:] == [("view", 1)], "the page that the click opened adds none"
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert happened(page)[3:] == [("view", 1)], "for how long the page was looked at"
    assert page.sent[-1]["events"][-1]["dwell_seconds"] >= 0
    page.goto("/cars/W-3")
    assert happened(page)[4:] == [("view", None)], "a page that was opened by itself"
    assert {body["visitor_key"] for body in page.sent} == {key}

    views = Interaction.objects.filter(buyer__visitor_key=key, kind__slug="view").order_by("pk")
    for _ in range(50):
        if views.count() >= 2:
            break
        page.wait_for_timeout(100)
    assert (views[0].attribution, views[0].position) == ("checked", 1)
    assert page.evaluate("forecourt.rotate()") != key
    page.evaluate("forecourt.consent(false)")
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_no_car_brings_a_script_into_a_page(page, cars):
    Listing.objects.filter(external_id="W-0").update(
        title="<img src=x onerror=window.bad=1>", url="javascript:window.bad=1", photo_url="javascript:window.bad=1"
    )
    page.goto("/list")
    page.wait_for_selector(".forecourt-card")
    page.get_by_text("Show more").click()
    page.wait_for_function("document.querySelectorAll('li').length === 4")
    assert page.locator("li img[onerror]").count() == 0
    assert page.locator("[href^=javascript], [src^=javascript]").count() == 0
    assert page.get_by_text("<img src=x").count() == 1


def test_an_element_that_a_page_moves_has_one_list_and_one_that_failed_asks_again(page, cars):
    page.goto("/list")
    page.wait_for_selector(".forecourt-card")
    move = "let main = document.body.appendChild(document.createElement('main')); main.append({})"
    page.evaluate(move.format("document.querySelector('forecourt-list')"))
    page.evaluate(  # while it is being filled
        "let other = Object.assign(document.createElement('forecourt-list'), {id: 'other'});"
        "other.setAttribute('k', 3);"
        "document.body.append(other); document.querySelector('main').append(other)"
    )
    page.wait_for_selector("#other .forecourt-card")
    page.wait_for_timeout(300)
    elements = "[...document.querySelectorAll('forecourt-list')]"
    assert page.evaluate(f"{elements}.map((each) => each.querySelectorAll('ol').length)") == [1, 1]
    assert page.locator("li").count() == 5
    page.context.set_offline(True)
    page.get_by_text("Show more").click()
    page.wait_for_function("!document.querySelector('.forecourt-more').disabled")
    page.context.set_offline(False)
    page.get_by_text("Show more").click()
    page.wait_for_function("document.querySelectorAll('li').length === 7")
