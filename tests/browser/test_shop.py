"""The shop window in a real browser: cards move, a car opens in front of the list, and without scripts pages load."""

import pytest

from accounts.models import Buyer
from recommendations.models import Interaction
from tests.markets import trained_market

pytestmark = pytest.mark.django_db(transaction=True)
ORDER = "() => [...document.querySelectorAll('#live [data-card]')].map((card) => card.dataset.card)"
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(autouse=True)
def _demo(settings):
    settings.DEMO_MODE = True


def test_a_click_moves_the_cards_and_says_what_was_learned(page, site):
    trained_market()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/shop/")
    assert page.evaluate(WIDER) <= 0
    before = page.evaluate(ORDER)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the cars"
    link = page.locator("#live a.open").last
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] #car-title")
    assert page.evaluate(ORDER) != before
    assert "learned in" in page.locator("#strip").inner_text()
    page.locator("#car-like").click()
    page.wait_for_selector("#car-like[aria-pressed=true]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="attached")
    assert page.evaluate("() => document.activeElement.closest('#live [data-card]') !== null")
    page.fill("#q", "estate")
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.search.includes('q=estate')")
    page.wait_for_load_state("networkidle")
    assert "You searched" in page.locator("#strip").inner_text()
    page.fill("#q", "")
    page.select_option("#f-brand", "bmw")
    page.wait_for_function("() => location.search.includes('brand=bmw')")
    assert page.evaluate(WIDER) <= 0
    kinds = set(Interaction.objects.filter(buyer__visitor_key__startswith="shop-").values_list("kind", flat=True))
    assert kinds == {"view", "like", "search"}


def test_without_scripts_the_same_is_done_by_loading_pages(site, browser):
    trained_market(4)
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/shop/")
    page.locator("#live a.open").first.click()
    assert "You opened" in page.locator("#strip").inner_text()
    page.click("#car-like")
    assert page.locator("#car-like").get_attribute("aria-pressed") == "true"
    page.click("text=Back to the list")
    page.locator("#live button[id^=hide]").first.click()
    assert "You hid" in page.locator("#strip").inner_text()
    page.click("text=Undo")
    assert "may be shown again" in page.locator("#strip").inner_text()
    context.close()
    assert Buyer.objects.filter(visitor_key__startswith="shop-").count() == 1
