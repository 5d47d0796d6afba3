"""Every page in a real browser: no script fails, nothing comes from elsewhere, and a telephone shows all of it."""

import pytest
from django.contrib import admin
from django.urls import reverse

from tests.admin_rows import ROW_OF
from tests.browser.steps import log_in

pytestmark = pytest.mark.django_db(transaction=True)
TELEPHONE = {"width": 390, "height": 844}
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def addresses() -> list[str]:
    """The list of each kind of row, and the page of one row of each; of the front page and the dashboard too."""
    found = ["/", reverse("admin:index")]
    for model in sorted(admin.site._registry, key=lambda model: model._meta.label):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found += [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[ROW_OF[model]().pk])]
    return found


def test_a_telephone_shows_every_page_without_scrolling_sideways(page):
    log_in(page, superuser=True)
    page.set_viewport_size(TELEPHONE)
    wide = {}
    for address in addresses():
        answer = page.goto(address)
        assert answer.status == 200, address
        if (pixels := page.evaluate(WIDER)) > 0:
            wide[address] = pixels
    assert wide == {}


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
