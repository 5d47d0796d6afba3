"""Every page in a real browser: no script fails, nothing comes from elsewhere, a telephone shows all of it, and no
rule of axe is broken. `make axe`, which CI runs beside the suite, asks all pages in every look, light and dark, on a
desk and on a telephone; the suite asks the pages of our own, each in one look, since axe takes as long as a page does.
Which pages there are is read from the console's addresses: one that no list has fails the suite.
"""

from collections.abc import Iterable, Iterator

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, reverse

from accounts.models import Buyer, User
from tests.admin_rows import ROW_OF, experiment, merchandising_rule, run_with_bad_rows, uploaded_file
from tests.browser.looks import EVERY_LOOK, TELEPHONE, broken_rules, looks_of
from tests.browser.steps import log_in
from tests.factories import PlacementFactory
from tests.markets import Market, trained_market

pytestmark = pytest.mark.django_db(transaction=True)
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Names of the console's addresses that show a whole page of their own, and by what they are named.
OWN_PAGES = {
    "accounts_buyer_lab": lambda _: [Buyer.objects.order_by("pk")[0].pk],
    "catalog_importrun_prepare": lambda _: [uploaded_file().pk],
    "catalog_importrun_row": lambda _: [run_with_bad_rows().pk, 2],
    "catalog_importrun_rows": lambda _: [run_with_bad_rows().pk],
    "catalog_listing_demand": lambda market: [market.skodas[0].pk],
    "catalog_quality": lambda _: [],
    "mfa_index": lambda _: [],
    "password_change": lambda _: [],
    "recommendations_dealers": lambda _: [],
    "recommendations_eventkind_weights": lambda _: [],
    "recommendations_experiment_report": lambda _: [experiment().pk],
    "recommendations_experiment_variant": lambda _: [experiment().pk, 0],
    "recommendations_placement_mix": lambda _: [PlacementFactory().pk],
    "recommendations_rankerversion_comparison": lambda _: [],
    "recommendations_rule_effect": lambda _: [merchandising_rule().pk],
    "recommendations_tastemap_map": lambda _: [],
    "task_queues": lambda _: [],
}
NO_PAGES = ("_changelist", "_add", "_change", "_history", "_delete", "_progress", "_autocomplete")  # asked, or parts


@pytest.fixture(autouse=True)
def _demo(settings):
    settings.DEMO_MODE, settings.TWO_FACTOR = True, "optional"  # so that a second factor has its page


def patterns_of(urls: Iterable[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for url in urls:
        if isinstance(url, URLResolver):
            yield from patterns_of(url.url_patterns)
        else:
            yield url


def actions_of_rows() -> Iterator[str]:
    """Names of addresses at which something is done with a row, most of them after a page that asks to confirm it."""
    for pattern in patterns_of(admin.site.get_urls()):
        if pattern.name and "<path:object_id>" in str(pattern.pattern) and not pattern.name.endswith(NO_PAGES):
            yield pattern.name


def asked_by_a_superuser() -> HttpRequest:
    request = HttpRequest()
    request.user = User(is_active=True, is_staff=True, is_superuser=True)
    return request


def rows_pages() -> Iterator[str]:
    """The list of each kind of row and the page of one; in all looks, forms of new rows and records of changes too."""
    for model in MODELS:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = quote(ROW_OF[model]().pk)
        yield from (reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row]))
        if EVERY_LOOK:
            yield reverse(f"{name}_history", args=[row])
            if admin.site._registry[model].has_add_permission(asked_by_a_superuser()):
                yield reverse(f"{name}_add")


def pages_of_actions(page) -> Iterator[str]:
    """What stands before something is done with a row: the actions that answer with a page of their own."""
    model_of = {f"{model._meta.app_label}_{model._meta.model_name}_": model for model in MODELS}
    for name in sorted(set(actions_of_rows())):
        model = next((model for start, model in model_of.items() if name.startswith(start)), None)
        if model is None:
            continue
        address = reverse(f"admin:{name}", args=[quote(ROW_OF[model]().pk)])
        answer = page.request.get(address)
        kind = answer.headers.get("content-type", "")
        if answer.status == 200 and kind.startswith("text/html") and answer.url.endswith(address):
            yield address


def pages_of_the_site() -> Iterator[str]:
    yield reverse("admin:search") + "?s=octavia"
    yield from (
        reverse("admin:app_list", args=[label]) for label in sorted({model._meta.app_label for model in MODELS})
    )


def own_pages(market: Market) -> Iterator[str]:
    """The pages of our own, and the shop as staff see it."""
    yield from ("/", reverse("admin:index"))
    for name, args in OWN_PAGES.items():
        yield reverse(name if name.startswith("mfa") else f"admin:{name}", args=args(market))
    yield reverse("admin:accounts_buyer_lab", args=[Buyer.objects.order_by("pk")[0].pk]) + "?missing_car=Octavia"
    yield from (reverse("shop"), reverse("shop") + "?brand=skoda", reverse("shop-car", args=[market.skodas[0].pk]))


def test_every_page_fits_and_breaks_no_rule(page):
    """Sideways, nothing moves on a telephone."""
    log_in(page, superuser=True)
    wrong: dict[str, object] = {}
    own = list(own_pages(trained_market(4)))
    more = (*pages_of_the_site(), *pages_of_actions(page)) if EVERY_LOOK else ()
    for address in (*own, *rows_pages(), *more):
        for scheme, looks in looks_of(address).items():
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # pages look at it when they are loaded
            page.set_viewport_size(TELEPHONE)
            answer = page.goto(address)
            assert answer.status == 200, address
            if (pixels := page.evaluate(WIDER)) > 0:
                wrong[f"{address} {scheme} is wider"] = pixels
            if page.locator("#nav-sidebar").count() and not page.locator("#site-name").count():
                wrong[f"{address} {scheme} has no brand"] = True
            for size in looks if EVERY_LOOK or address in own else ():
                page.set_viewport_size(size)
                if (pixels := page.evaluate(WIDER)) > 0:
                    wrong[f"{address} {scheme} {size['width']} is wider"] = pixels
                if found := broken_rules(page, with_sidebar=address == reverse("admin:index")):
                    wrong[f"{address} {scheme} {size['width']}"] = found
    assert wrong == {}


def test_no_page_of_our_own_is_missing_here():
    named = {
        pattern.name
        for pattern in patterns_of(admin.site.get_urls())
        if pattern.name and hasattr(pattern.callback, "view_class")
    }
    assert named - set(OWN_PAGES) == set()


def test_pages_that_are_read_before_one_is_known_break_no_rule(page, settings):
    settings.SENDS_EMAIL = True  # so that a forgotten password has its pages
    wrong = {}
    for address in (reverse("admin:login"), reverse("password_reset"), reverse("password_reset_done"), "/shop/"):
        for scheme, size in ((scheme, size) for scheme, sizes in looks_of(address).items() for size in sizes):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size(size)
            assert page.goto(address).status == 200
            if found := broken_rules(page):
                wrong[f"{address} {scheme} {size['width']}"] = found
    assert wrong == {}


def test_the_console_is_reached_by_keyboard(page):
    """Tab leads from the first link into the sidebar, Enter opens what is in focus, and the focus can be seen."""
    log_in(page, superuser=True)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.getAttribute('href')") == "/admin/catalog/listing/":
            break
    outline = page.evaluate("() => { const s = getComputedStyle(document.activeElement);"
                            " return s.outlineStyle + s.boxShadow }")  # fmt: skip
    assert outline != "nonenone"
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/catalog/listing/")
