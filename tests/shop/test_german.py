"""A visitor whose browser asks for German reads the shop in German: no page of it has English left."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.translation import override

from catalog import attributes
from catalog.models import Listing
from recommendations.models import Interaction
from shop.questions import read_question
from tests.factories import UserFactory
from tests.markets import trained_market
from tests.test_translations import LOCALE, MARKS, PROJECT, forms

pytestmark = pytest.mark.django_db
SHOP, ACT, VISITOR, SEARCHES = (reverse(name) for name in ("shop", "shop-act", "shop-visitor", "shop-searches"))
HTMX = {"HX-Request": "true"}
READ = r'(?:aria-label|placeholder|alt|title|content)="([^"]*)"'
MARKED_IN = ("shop", "templates/shop")
DEEDS = (
    "like", "hide", "show", "contact", "dislike", "pin", "unpin", "boost", "unboost", "bar", "unbar", "sold", "unsold",
    "unsold", "pin", "pin",
)  # fmt: skip
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|<[^>]*>|%%")


@pytest.fixture(autouse=True)
def _demo(settings):
    settings.DEMO_MODE, settings.SERVED_LIST_THREAD = True, False


def english() -> set[str]:
    """Of every text that the shop may show and that German has other words for: the pieces between placeholders."""
    methods = [("**.py", "python"), ("**.html", "web.template_texts:extract")]
    texts = {
        text
        for package in MARKED_IN
        for _, _, message, _, _ in extract_from_dir(Path(PROJECT / package), methods, keywords=MARKS)
        for text in forms(message)
    }
    texts |= {attribute.label for attribute in attributes.ATTRIBUTES}
    texts |= {choice.label for category in attributes.CATEGORIES for choice in category.choices}
    texts |= {str(label) for label in Listing.Status.labels}
    with (LOCALE / "de" / "LC_MESSAGES" / "django.po").open("rb") as file:
        german = {
            source: text
            for message in read_po(file, locale="de")
            if message.id and not message.context
            for source, text in zip(forms(message.id), forms(message.string), strict=True)
        }
    assert texts <= german.keys()
    pieces = {piece.strip(" ,;:.") for text in texts if german[text] != text for piece in PLACEHOLDER.split(text)}
    known = {word for text in german.values() for word in re.findall(r"\w+", text)}  # such as "Hybrid"
    return {piece for piece in pieces if len(piece) > 2 and piece not in known}


def read(page: str) -> str:
    """What people read of a page, or hear of it."""
    page = re.sub(r"(?s)<script\b.*?</script>|<meta name=\"(?!description)[^>]*>", " ", page)
    return unescape(" ".join([*re.findall(READ, page), strip_tags(re.sub(r"<", " <", page))]))


def everything(client: Client, market) -> dict[str, str]:
    """Every page and state of the shop: searches, a car, each deed with what is said of it, and all of the tour."""
    listing = market.skodas[0]
    Listing.objects.filter(pk=listing.pk).update(
        damage="repaired", first_registration=201803, owner_count=2, power_kw=85
    )
    car = reverse("shop-car", args=[listing.pk])
    client.post(VISITOR, {"role": "tour"})
    pages = {"tour": client.get(SHOP).text, "car in tour": client.get(car, headers=HTMX).text}
    for deed in DEEDS:
        other = market.skodas[1] if deed in ("hide", "show", "sold", "unsold") else listing
        pages[f"deed {deed} {len(pages)}"] = client.post(
            ACT, {"act": f"{deed} {other.pk} - 0", "back": "", "open_car": str(listing.pk)}, headers=HTMX
        ).text
    client.post(VISITOR, {"role": "guest"})
    for query in (
        "",
        "brand=skoda",
        "ordering=price",
        "ordering=-price",
        "q=skoda+qqq",
        "q=qqqq",
        "max_price=cheap&fuel=x",
    ):
        pages[query] = client.get(f"{SHOP}?{query}").text
    pages["car"] = client.get(car).text
    client.post(SEARCHES, {"back": "brand=skoda"})
    pages["saved"] = client.get(SHOP).text
    client.post(SEARCHES, {"back": ""})
    pages["nothing to save"] = client.get(SHOP).text
    Listing.objects.filter(pk=listing.pk).update(status="sold", price=None, ended_at=timezone.now())
    pages["sold car"] = client.get(car).text
    return pages


def test_no_page_of_the_shop_has_english_left(settings):
    settings.MARKET_CURRENCY = "EUR"
    market = trained_market()
    words = re.compile(
        "|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in sorted(english(), key=len, reverse=True))
    )
    client = Client(headers={"Accept-Language": "de-DE,de;q=0.9,en;q=0.5"})
    client.force_login(UserFactory(operator=True, is_superuser=True))
    pages = everything(client, market)
    wrong = {name: found for name, page in pages.items() if (found := sorted(set(words.findall(read(page)))))}
    assert wrong == {}
    assert Interaction.objects.filter(kind="hide").exists()
    together = read(" ".join(pages.values()))
    for said in ("Was wir annehmen", "Schritt 4 von 4", "gelernt in", "wurde weggelassen", "Suche speichern"):
        assert said in together
    assert re.search(r"\d\.\d{3}\u00a0£", together)
    assert re.search(r"\d\.\d{3}\u00a0km", together)


def test_the_language_is_that_of_the_request_and_caches_know_it(client):
    for asked, lang, said in (("de", "de", "Beliebig"), ("en", "en-gb", "Any"), ("fr", "en-gb", "Any")):
        answer = client.get(SHOP, headers={"Accept-Language": asked})
        assert f'<html lang="{lang}">' in answer.text
        assert f'<option value="">{said}</option>' in answer.text
        assert "Accept-Language" in answer.headers["Vary"]
        assert answer.headers["Content-Language"] == lang


@pytest.mark.parametrize(("language", "typed", "read"), [
    ("de", "15.000", 15_000), ("de", "1.250.000", 1_250_000), ("de", "15.000,50", 15_000.5),
    ("de", "15000,5", 15_000.5), ("de", "15000.5", 15_000.5), ("de", "15 000", 15_000), ("de", "900", 900),
    ("en-gb", "15,000", 15_000), ("en-gb", "15,000.50", 15_000.5), ("en-gb", "15000.5", 15_000.5),
])  # fmt: skip
def test_numbers_are_read_by_the_language_in_which_they_were_typed(language, typed, read):
    with override(language):
        question = read_question(QueryDict(urlencode({"max_price": typed})))
        assert (question.filters.max_price, question.problems) == (read, ())
    with override("de" if language == "en-gb" else "en-gb"):  # the address of the page holds for every language
        assert read_question(QueryDict(question.as_query)).filters.max_price == read


def test_what_is_no_number_is_named_as_it_was_typed():
    with override("de"):
        question = read_question(QueryDict(urlencode({"max_price": "15.00.0"})))
    assert question.filters.max_price is None
    assert "15.00.0" in question.problems[0]
