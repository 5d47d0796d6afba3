"""The taste map in the admin: the page, who may see it, and the jobs that draw maps."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from catalog.models import Listing
from recommendations.insight.maps import run_map, start_map
from recommendations.models import TasteMap
from tests.factories import BuyerFactory, RankerVersionFactory, UserFactory
from tests.markets import trained_market, view

pytestmark = pytest.mark.django_db
MAP = "admin:recommendations_tastemap_map"
SUBMITTED = {"_form_submitted": "on"}
QUERIES_OF_A_MAP = 15  # four of them update the listing index, where it was not read for some seconds
QUERIES_WITH_A_BUYER = 32


# --- The page --------------------------------------------------------------------------------------------------------
def test_every_car_is_a_mark_that_names_it_and_opens_it(viewer: Client):
    market = trained_market()
    response = viewer.get(reverse(MAP))
    car = market.skodas[0]
    page = reverse("admin:catalog_listing_change", args=[car.pk])
    assert f'<a href="{page}" tabindex="-1">' in response.text
    assert "<title>Skoda Octavia · £5,000 · 2014 · 55,923\u00a0miles</title>" in response.text
    assert "All 30 cars" in response.text


def test_a_buyer_is_drawn_with_a_direction_and_their_list_as_positions_and_in_words(viewer: Client):
    market = trained_market()
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:5])
    response = viewer.get(reverse(MAP), {"buyer": buyer.user.email, "colour": "taste"})
    assert "more to their taste" in response.text
    assert "Position 1 of their list: BMW 3 Series" in response.text
    assert "Their list on the map" in response.text
    assert response.context["listed"][0]["where"]


def test_a_group_can_be_made_to_stand_out(viewer: Client):
    trained_market()
    response = viewer.get(reverse(MAP), {"only": "BMW"})
    (entry,) = [entry for entry in response.context["legend"] if entry["is_on"]]
    assert entry["group"].label == "BMW"
    assert 'aria-current="true"' in response.text
    assert response.text.count("fc-map-dim") == 1


def test_a_stored_map_opens_by_its_number(viewer: Client):
    market = trained_market()
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:5])
    drawn = run_map(map_id=start_map().pk)
    response = viewer.get(reverse(MAP), {"map": drawn.pk, "buyer": buyer.pk})
    assert "All 30 cars of this map" in response.text
    assert "The middle of their list" in response.text
    assert "fc-map-arrow" not in response.text


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"buyer": "unknown@example.com"}, "No buyer is called “unknown@example.com”."),
        ({"buyer": "9" * 30}, "No buyer is called"),
        ({"map": "7777"}, "Select a valid choice"),
        ({"colour": "smell"}, "Select a valid choice"),
        ({"colour": "taste"}, "Name the buyer whose taste colours the map."),
    ],
)
def test_questions_that_make_no_sense_are_marked_and_draw_nothing(viewer: Client, asked: dict, message: str):
    trained_market()
    response = viewer.get(reverse(MAP), asked)
    assert response.status_code == 200
    assert message in response.text
    assert "fc-map-frame" not in response.text


def test_before_the_first_ranker_the_page_says_what_to_do(viewer: Client):
    RankerVersionFactory()
    response = viewer.get(reverse(MAP))
    assert "There is no map yet: no ranker version is live yet; train one first." in response.text


def test_a_sold_out_stock_says_what_to_do(viewer: Client):
    trained_market()
    Listing.objects.update(status="draft")
    assert "No car is for sale, so there is nothing to draw." in viewer.get(reverse(MAP)).text


def test_names_and_groups_cannot_smuggle_markup_into_the_drawing(viewer: Client):
    market = trained_market()
    Listing.objects.filter(pk=market.skodas[0].pk).update(title="<script>x</script>")
    text = viewer.get(reverse(MAP), {"only": '"><script>'}).text
    assert "<script>x" not in text
    assert "&lt;script&gt;x" in text


@pytest.mark.parametrize("key", ["pk", "external_id"])
def test_a_buyer_is_found_by_number_and_by_the_clients_id(viewer: Client, key: str):
    trained_market()
    buyer = BuyerFactory(external=True)
    response = viewer.get(reverse(MAP), {"buyer": getattr(buyer, key)})
    assert response.context["buyer"] == buyer


# --- Who may see it --------------------------------------------------------------------------------------------------
def allowed(client: Client, *codenames: str) -> Client:
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


def test_the_map_needs_the_permission_to_see_cars_maps_and_versions(client: Client):
    few = allowed(client, "view_tastemap", "view_rankerversion")
    assert few.get(reverse(MAP)).status_code == 403


def test_a_buyer_is_drawn_in_only_for_those_who_may_see_buyers(client: Client):
    market = trained_market()
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:2])
    few = allowed(client, "view_tastemap", "view_rankerversion", "view_listing")
    assert few.get(reverse(MAP), {"buyer": buyer.pk}).status_code == 403
    response = few.get(reverse(MAP))
    assert response.status_code == 200
    assert response.context["buyers"] == []


def test_unauthenticated_requests_are_redirected_to_the_login(client: Client):
    assert client.get(reverse(MAP)).status_code == 302


# --- Queries ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n_of_each", [10, 30])
def test_a_map_takes_few_queries_however_many_cars_there_are(
    viewer: Client, django_assert_max_num_queries, n_of_each: int
):
    trained_market(n_of_each)
    viewer.get(reverse(MAP))
    with django_assert_max_num_queries(QUERIES_OF_A_MAP):
        viewer.get(reverse(MAP))


def test_a_map_with_a_buyer_takes_few_queries(viewer: Client, django_assert_max_num_queries):
    market = trained_market()
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:5])
    viewer.get(reverse(MAP), {"buyer": buyer.pk})
    with django_assert_max_num_queries(QUERIES_WITH_A_BUYER):
        viewer.get(reverse(MAP), {"buyer": buyer.pk})


# --- Drawing by t-SNE ------------------------------------------------------------------------------------------------
def test_an_operator_queues_a_map_and_follows_it(operator: Client, queued, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = operator.post(reverse("admin:recommendations_tastemap_add"), {"n_points": 500, "seed": 3})
    wanted = TasteMap.objects.get()
    assert (wanted.n_points, wanted.seed, wanted.status, wanted.started_by.is_staff) == (500, 3, "queued", True)
    assert queued == [("recommendations.draw_map", wanted.pk)]
    assert response.url == reverse("admin:recommendations_tastemap_change", args=[wanted.pk])
    assert AuditEntry.objects.filter(action="added", model="recommendations.tastemap").exists()


def test_a_size_that_cannot_be_drawn_is_refused_beside_its_field(operator: Client, queued):
    response = operator.post(reverse("admin:recommendations_tastemap_add"), {"n_points": 1_000_000, "seed": 3})
    assert "n_points" in response.context["adminform"].form.errors
    assert not TasteMap.objects.exists()


def test_an_operator_cancels_a_map_and_the_audit_log_records_it(operator: Client):
    wanted = start_map()
    operator.post(reverse("admin:recommendations_tastemap_cancel", args=[wanted.pk]), SUBMITTED)
    wanted.refresh_from_db()
    assert wanted.status == "cancelled"
    entry = AuditEntry.objects.get(action="cancelled")
    assert (entry.object_id, entry.before["status"], entry.after) == (
        str(wanted.pk), "queued", {"status": "cancelled"},
    )  # fmt: skip


def test_a_viewer_neither_draws_nor_cancels(viewer: Client, queued):
    wanted = start_map()
    assert viewer.post(reverse("admin:recommendations_tastemap_add"), {"n_points": 500}).status_code == 403
    cancel = reverse("admin:recommendations_tastemap_cancel", args=[wanted.pk])
    assert viewer.post(cancel, SUBMITTED).status_code == 403
    wanted.refresh_from_db()
    assert (wanted.status, queued) == ("queued", [])
    assert "Draw a t-SNE map" not in viewer.get(reverse(MAP)).text


def test_a_map_leads_to_its_picture(viewer: Client):
    wanted = start_map()
    response = viewer.get(reverse("admin:recommendations_tastemap_open_this_map", args=[wanted.pk]))
    assert response.url == reverse(MAP, query={"map": wanted.pk})


def test_a_buyers_page_leads_to_the_map_with_the_buyer_drawn_in(viewer: Client):
    buyer = BuyerFactory()
    response = viewer.get(reverse("admin:accounts_buyer_open_map", args=[buyer.pk]))
    assert response.url == reverse(MAP, query={"buyer": buyer.pk})
