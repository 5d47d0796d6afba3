"""What holds for every page of the admin, and the dashboard."""

import re
import uuid
from datetime import timedelta
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_celery_results.models import TaskResult

from accounts.models import Buyer
from catalog.admin.quality_cards import quality_panel
from catalog.models import Listing, ListingChange
from catalog.quality import queue_report, run_report
from console.formats import link_to, page_of
from console.pages import EstimatingPaginator, planned_rows
from console.templatetags.console_pages import crumbs, lines
from jobs.admin import cards
from recommendations.admin import ranking_cards as ranking
from recommendations.admin import traffic_cards as traffic
from recommendations.models import Interaction, RankerVersion, SeedRun
from tests import factories
from tests.admin_rows import ROW_OF, experiment, merchandising_rule, run_with_bad_rows
from tests.factories import ServedListFactory
from tests.markets import trained_market, view
from webhooks.models import Message

REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)
LABELS = [model._meta.label for model in REGISTERED]

pytestmark = pytest.mark.django_db


def url(model: type, page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=[*map(quote, args)])


def test_every_model_of_ours_has_pages_but_vectors_and_sums_which_other_pages_show():
    from django.apps import apps

    ours = {
        model._meta.object_name
        for name in ("accounts", "catalog", "recommendations", "webhooks")
        for model in apps.get_app_config(name).get_models()
    }
    assert ours - {model._meta.object_name for model in REGISTERED} == {
        "ListingVector", "CountedDay", "SellerDay", "DemandDay", "EventKey",
        "BadRow", "ImportedName", "SellerKey",  # on the pages of the import and the seller
    }  # fmt: skip


@pytest.mark.parametrize("model", REGISTERED, ids=LABELS)
def test_every_list_opens_with_rows_and_without(operator: Client, model: type):
    assert operator.get(url(model, "changelist")).status_code == 200
    ROW_OF[model]()
    response = operator.get(url(model, "changelist"))
    assert response.status_code == 200
    assert response.context["cl"].result_count >= 1
    rows = response.text.partition('id="result_list"')[2].partition("</table>")[0]
    assert moments_of_another_style(response.text) == []
    assert not re.search(r"<a\s(?:(?!</a>).)*<a\s", rows, re.DOTALL)  # else the outer one has no text


@pytest.mark.parametrize("model", REGISTERED, ids=LABELS)
def test_every_row_has_a_page(operator: Client, model: type):
    row = ROW_OF[model]()
    response = operator.get(url(model, "change", row.pk))
    assert response.status_code == 200
    assert moments_of_another_style(response.text) == []


CLOCK = r"(?<![:\d+])\b\d{1,2}:\d\d(?::\d\d)?\b(?! to \d)(?!\s(?:UTC|JST)\b)"
ISO = r"(?<!\")\b\d{4}-\d\d-\d\d(?:\b|T)"
OTHER_STYLES = rf"{CLOCK}|{ISO}|\d\s[ap]\.m\.|\d\s[AP]M\b|, (?:midnight|noon)\b"


def moments_of_another_style(page: str) -> list[str]:
    """What a page shows of times without their zone, and of dates in another order, in texts, titles and charts.

    Fields to type into have their own style, as browsers write them; so has JSON, which is for machines.
    """
    titles = " ".join(re.findall(r"""(?:title|aria-label)=["']([^"']*)["']""", page))
    bare = re.sub(r"(?s)<(script|style|textarea|option|pre)\b.*?</\1>", " ", page)
    return re.findall(rf".{{0,30}}(?:{OTHER_STYLES}).{{0,20}}", unescape(re.sub(r"<[^>]+>", " ", bare) + titles))


def test_every_page_of_ours_writes_moments_in_one_style_with_their_zone(operator: Client, settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    market = trained_market(4)
    view(buyer := Buyer.objects.order_by("pk")[0], *market.skodas[:2])
    ServedListFactory(buyer=buyer, listing_ids=[market.skodas[0].pk], scores=[0.5], sources=["taste"])
    TaskResult.objects.create(task_id="1", status="FAILURE")
    names = {
        "index": [], "accounts_buyer_lab": [buyer.pk], "catalog_importrun_rows": [run_with_bad_rows().pk],
        "catalog_listing_demand": [market.skodas[0].pk], "catalog_quality": [], "recommendations_dealers": [],
        "recommendations_eventkind_weights": [], "recommendations_experiment_report": [experiment().pk],
        "recommendations_placement_mix": [factories.PlacementFactory().pk], "task_queues": [],
        "recommendations_rankerversion_comparison": [], "recommendations_rule_effect": [merchandising_rule().pk],
        "recommendations_tastemap_map": [], "recommendations_merchandisingrule_add": [],
    }  # fmt: skip
    addresses = [reverse(f"admin:{name}", args=args) for name, args in names.items()]
    wrong = {}
    for address in addresses:
        answer = operator.get(address)
        assert answer.status_code == 200, address
        wrong[address] = moments_of_another_style(answer.text)
    assert {address: found for address, found in wrong.items() if found} == {}


@pytest.mark.parametrize("model", REGISTERED, ids=LABELS)
def test_every_form_to_add_a_row_opens_or_is_refused(operator: Client, model: type):
    may_add = admin.site._registry[model].has_add_permission(operator.get(url(model, "changelist")).wsgi_request)
    assert operator.get(url(model, "add")).status_code == (200 if may_add else 403)


@pytest.mark.parametrize("model", REGISTERED, ids=LABELS)
def test_a_longer_list_takes_no_more_queries(operator: Client, model: type):
    for _ in range(2):
        ROW_OF[model]()
    operator.get(url(model, "changelist"))  # fills caches: content types, sessions
    few = queries_of(operator, model)
    for _ in range(6):
        ROW_OF[model]()
    assert queries_of(operator, model) == few <= 16


def queries_of(client: Client, model: type) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        client.get(url(model, "changelist"))
    return len(queries)


@pytest.mark.parametrize("model", REGISTERED, ids=LABELS)
def test_search_finds_nothing_without_an_error(operator: Client, model: type):
    assert operator.get(url(model, "changelist"), {"q": "no such thing' 0x & |"}).status_code in (200, 302)


@pytest.mark.parametrize("model", REGISTERED, ids=LABELS)
def test_staff_without_a_permission_sees_no_rows(client: Client, model: type):
    client.force_login(factories.UserFactory(is_staff=True))
    row = ROW_OF[model]()
    assert client.get(url(model, "changelist")).status_code == 403
    assert client.get(url(model, "change", row.pk)).status_code in (302, 403)


@pytest.mark.parametrize("model", [Interaction, ListingChange], ids=lambda model: model.__name__)
def test_a_log_cannot_be_written_by_hand(operator: Client, model: type):
    row = ROW_OF[model]()
    assert operator.post(url(model, "change", row.pk), {}).status_code == 403
    assert operator.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403


# --- Counting --------------------------------------------------------------------------------------------------------
def test_a_short_list_is_counted_exactly():
    factories.SellerFactory.create_batch(3)
    paginator = EstimatingPaginator(factories.SellerFactory._meta.model.objects.order_by("pk"), 2)
    assert (paginator.count, paginator.num_pages, paginator.is_estimate) == (3, 2, False)


def test_a_long_list_is_estimated_from_statistics(monkeypatch: pytest.MonkeyPatch):
    sellers = factories.SellerFactory._meta.model.objects.order_by("pk")
    factories.SellerFactory.create_batch(30)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE catalog_seller")
    monkeypatch.setattr(EstimatingPaginator, "COUNT_EXACTLY", 10)
    paginator = EstimatingPaginator(sellers, 2)
    assert paginator.count == planned_rows(sellers) == 30
    assert paginator.is_estimate
    assert paginator.num_pages == 5  # of 2 rows each: as far as rows are counted


# --- Dashboard -------------------------------------------------------------------------------------------------------
def test_an_empty_site_says_what_to_do_next(operator: Client):
    response = operator.get(reverse("admin:index"))
    assert "No cars yet: import a file of listings" in response.text
    assert [step["label"] for step in response.context["next_steps"]] == ["Import a file", "Seed a demo market"]


def test_stock_without_a_ranker_asks_for_the_first_training(operator: Client):
    factories.ListingFactory()
    response = operator.get(reverse("admin:index"))
    assert [step["label"] for step in response.context["next_steps"]] == ["Train the first ranker"]


def test_the_dashboard_counts_what_there_is(operator: Client):
    now = timezone.now()
    live = factories.RankerVersionFactory(
        live=True, metrics={"rankers": {"taste": {"ndcg": 0.25}, "popularity": {"ndcg": 0.0625}}}
    )
    sold, seen = factories.ListingFactory(sold=True), factories.ListingFactory(published_at=now - timedelta(days=3))
    served = factories.ServedListFactory(
        served_at=now, version=live, listing_ids=[sold.pk, seen.pk], scores=[2.0, 1.0], sources=["utility", "trending"],
        placement=factories.PlacementFactory(slug="corner", name="Corner"),
    )  # fmt: skip
    for kind in ("view", "contact"):
        factories.InteractionFactory(
            buyer=served.buyer, listing=seen, kind_id=kind, occurred_at=now, served_list=served, position=2
        )
    TaskResult.objects.create(task_id="1", status="FAILURE")

    response = operator.get(reverse("admin:index"))

    figures = {card.title: card.figure for card in response.context["cards"]}
    assert figures == {
        "Health": figures["Health"],
        "Cars for sale": "1",
        "Events, last 24 hours": "2",
        "Bots": "0",
        "Lists served, last 24 hours": "1",
        "Click rate, last 7 days": "50.0%",
        "Contact rate, last 7 days": "50.00%",
        "Cold buyers": "0%",
        "Coverage, last 7 days": "100%",
        "Preferences behind the log": "1",
        "Live ranker": str(live),
        "Work in the queues": figures["Work in the queues"],  # earlier tests may have left some
        "Failed jobs, last 24 hours": "1",
    }
    panels = {panel.title: panel.rows for panel in response.context["panels"]}
    assert sorted(panels["Clicks and contacts by source, last 7 days"]) == [
        ("trending", "1", "1 (100.0%)", "1 (100.00%)"),
        ("utility", "1", "0 (0.0%)", "0 (0.00%)"),
    ]
    ((place, *rates),) = panels["Clicks and contacts by placement, last 7 days"]
    assert ("Corner" in place, rates) == (True, ["2", "1 (50.0%)", "1 (50.00%)"])
    assert [row[1:] for row in panels["Events by kind"]] == [("0.0", "1", "1"), ("0.0", "1", "1")]
    assert panels["How good the live ranker is"] == (("ndcg", "0.250", "0.062"),)


def test_a_broker_that_is_away_is_an_alert_and_no_error(operator: Client, settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cards, "queue_depths", lambda: None)
    card = cards.queue_card()
    assert (card.figure, card.is_alert) == ("–", True)
    assert "The broker does not answer" in operator.get(reverse("admin:index")).text


def test_what_is_wrong_with_the_stock_leads_to_its_listings(operator: Client):
    for _ in range(3):
        factories.ListingFactory(price=None)
    run_report(report_id=queue_report().pk)
    panel = quality_panel()
    (row,) = [row for row in panel.rows if "price" in row[0].lower()]
    address = re.search(r'href="([^"]+)"', row[0])
    assert address
    assert operator.get(unescape(address[1])).context["cl"].result_count == 3


def test_a_large_week_is_sampled_and_says_so(operator: Client, monkeypatch: pytest.MonkeyPatch):
    """Of lists whose ids are spread evenly, a quarter is a quarter of the ids."""
    for quarter in range(4):
        first = uuid.UUID(int=(quarter << 126) + 1)
        factories.ServedListFactory(
            id=first, served_at=timezone.now(), listing_ids=[1], scores=[1.0], sources=["utility"]
        )
    monkeypatch.setattr(traffic, "LISTS_SAMPLED", 1)
    monkeypatch.setattr(traffic, "planned_rows", lambda rows: 4)
    sample = traffic.read_sample(timezone.now())
    assert (sample.total().n_shown, round(sample.share, 6)) == (1, 0.25)
    assert "from a random 25.0% of the lists" in traffic.sources_panel(sample).note


def test_the_dashboard_shows_for_how_long_the_log_has_been_ahead(operator: Client):
    live = factories.RankerVersionFactory(live=True)
    now = timezone.now()
    for minutes in (40, 20):
        factories.InteractionFactory(received_at=now - timedelta(minutes=minutes))
    card = ranking.behind_card(now, live)
    assert (card.figure, "the first for 40\xa0min" in card.note) == ("2", True)


def test_every_card_leads_to_a_list_that_opens(operator: Client):
    for card in operator.get(reverse("admin:index")).context["cards"]:
        assert operator.get(card.href).status_code == 200, card.title


def test_a_running_job_shows_on_the_dashboard(operator: Client):
    SeedRun.objects.create(status="running", progress=0.5, step="buyers")
    response = operator.get(reverse("admin:index"))
    assert [(job["step"], job["percent"]) for job in response.context["running_jobs"]] == [("buyers", 50)]


def test_cards_show_only_to_those_who_may_see_their_rows(client: Client):
    cache.empty()
    person = factories.UserFactory(is_staff=True)
    person.user_permissions.add(permission("view", Listing))
    client.force_login(person)
    response = client.get(reverse("admin:index"))
    assert [card.title for card in response.context["cards"]] == ["Cars for sale"]


def permission(verb: str, model: type):
    from django.contrib.auth.models import Permission
    from django.contrib.contenttypes.models import ContentType

    return Permission.objects.get(
        content_type=ContentType.objects.get_for_model(model), codename=f"{verb}_{model._meta.model_name}"
    )


def test_the_dashboard_works_without_a_single_permission(client: Client):
    cache.empty()
    client.force_login(factories.UserFactory(is_staff=True))
    response = client.get(reverse("admin:index"))
    assert response.context["cards"] == []
    assert response.status_code == 200


def test_the_dashboard_takes_no_more_queries_with_more_rows(operator: Client):
    RankerVersion.objects.create(status="live")
    ROW_OF[Listing]()
    operator.get(reverse("admin:index"))
    few = dashboard_queries(operator)
    for model in (Interaction, Listing):
        for _ in range(5):
            ROW_OF[model]()
    assert dashboard_queries(operator) == few


def dashboard_queries(client: Client) -> int:
    cache.empty()
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse("admin:index"))
    return len(queries)


# --- The public page -------------------------------------------------------------------------------------------------
def test_the_front_page_links_every_entry_point(client: Client, settings):
    settings.DEMO_MODE = False
    response = client.get("/")
    for route in (reverse("admin:index"), "/api/docs", "/api/v1/"):
        assert f'href="{route}"' in response.text
    assert "forecourt</code>" not in response.text


def test_a_demo_shows_its_login(client: Client, settings):
    settings.DEMO_MODE = True
    assert "admin@example.com" in client.get("/").text


def test_rows_whose_keys_hold_an_underscore_and_two_digits_are_linked_to():
    """``_26`` is how the admin writes ``&`` in an address; a webhook's messages have keys of any letters and digits."""
    message = Message(pk="msg_26cd5f3a")
    page = reverse("admin:webhooks_message_change", args=["msg_5F26cd5f3a"])
    assert page_of(message) == page
    assert f'href="{page}"' in link_to(message)


# --- Where a page is, and what an empty one says ----------------------------------------------------------------------
def test_a_page_is_found_in_the_section_that_the_menu_lists_it_in(operator):
    page = " ".join(operator.get(reverse("admin:recommendations_merchandisingrule_changelist")).text.split())
    crumb = page[: page.index("chevron_right")]
    assert crumb.rstrip().endswith('aria-hidden="true">')
    assert "> Recommender <" in crumb[-800:]


def test_every_line_of_the_menu_has_its_section_and_its_own_name_as_crumbs():
    for section, title, link in lines():
        way = crumbs([{"title": "The app", "link": "/admin/app/"}, {"title": "Rows", "link": link}], link + "7/change/")
        assert [part["title"] for part in way] == [section, title]
        of_its_own = crumbs([{"title": "The app"}, {"title": "Rows", "link": "/admin/app/rows/"}, {"title": "P"}], link)
        assert [part["title"] for part in of_its_own] == [section, title]
    unlisted = [{"title": "The app", "link": "/admin/app/"}, {"title": "Rows", "link": "/admin/app/rows/"}]
    assert crumbs(unlisted, "/admin/app/rows/") == unlisted


def test_a_page_writes_the_name_of_its_row_as_it_is(operator):
    """A client's id that begins with a small letter was shown with a capital one."""
    buyer = factories.BuyerFactory(external=True, external_id="shop-7")
    page = operator.get(url(Buyer, "change", buyer.pk)).text
    assert re.search(r">\s*shop-7\s*<", page)
    assert "Shop-7" not in page


def test_an_empty_list_says_what_will_stand_in_it_and_one_without_hits_that_it_has_none(operator):
    url = reverse("admin:recommendations_merchandisingrule_changelist")
    empty, without_hits = operator.get(url).text, operator.get(url, {"q": "nothing is called so"}).text
    assert "No merchandising rules yet" in empty
    assert "A rule pins, boosts, buries, hides or caps cars" in empty
    assert "Show all" not in empty
    assert "Nothing matches" in without_hits
    assert "Show all" in without_hits


@pytest.mark.parametrize("title", ["Imports", "Events", "Buyers", "Lists served", "API keys", "Demo market"])
def test_an_empty_list_has_the_name_that_the_menu_has_for_it_and_a_sentence_of_help(title, operator):
    address = next(link for _, name, link in lines() if name == title)
    empty = re.sub(r"\s+", " ", operator.get(address).text)
    assert f"No {title if title[1].isupper() else title.lower()} yet </h2>" in empty
    assert "Add the first one here" not in empty
