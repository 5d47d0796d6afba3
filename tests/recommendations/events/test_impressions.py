"""What was seen of a list, for how long a page was looked at, and what a contact is worth."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.services import buyer_for_external_id, buyer_for_visitor, create_api_key, export_person, merge_guest
from recommendations.admin.traffic_cards import read_sample
from recommendations.buyers.exclusions import frequency_capped_listings
from recommendations.buyers.histories import choices_of
from recommendations.buyers.posteriors import LogPosition
from recommendations.engine.choice_sets import BOUNCE, LONGEST_DWELL, USUAL_DWELL_SECONDS, dwell_factors
from recommendations.evaluation.experiment_log import Reading, read_experiment
from recommendations.evaluation.experiment_report import report_on
from recommendations.events.impressions import LISTS_LOOKED_AT, end_counting
from recommendations.events.recording import Event, record_interactions
from recommendations.events.rows import read_events, read_histories
from recommendations.events.waiting import release_all
from recommendations.insight.exposure import exposure_of
from recommendations.insight.seller_days import count_exposure
from recommendations.listings.index import borrow_index
from recommendations.models import (
    BotMark,
    CountedDay,
    Experiment,
    Impression,
    Interaction,
    Placement,
    Preference,
    SellerDay,
    WaitingEvent,
)
from recommendations.upkeep.retention import remove_old_rows
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, SellerFactory, ServedListFactory
from tests.markets import Market

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/events"


@pytest.fixture
def seller():
    return SellerFactory()


@pytest.fixture
def cars(seller):
    return [ListingFactory(seller=seller) for _ in range(5)]


@pytest.fixture
def buyer():
    return buyer_for_external_id("customer-1")


@pytest.fixture
def system() -> APIClient:
    client = APIClient()
    secret = create_api_key(name="a site", scopes=["read", "ingest"], created_by=None)[1]
    client.credentials(HTTP_X_API_KEY=secret)
    return client


def served(buyer, cars, **fields):
    home, _ = Placement.objects.get_or_create(slug="home")
    n = len(cars)
    given = {"placement": home, "served_at": timezone.now() - timedelta(hours=2), "scores": [0.0] * n}
    return ServedListFactory(
        buyer=buyer, listing_ids=[car.pk for car in cars], **{**given, "sources": ["taste"] * n, **fields}
    )


def impression(buyer, served_list, *positions, **fields) -> Event:
    return Event(kind="impression", served_list_id=served_list.pk, seen_positions=positions, **fields)


def see(buyer, served_list, *positions) -> None:
    record_interactions(buyer=buyer, events=[impression(buyer, served_list, *positions)])


def beside(event: Interaction) -> list[int]:
    found = read_events(event.occurred_at - timedelta(days=1)).shown_beside(30)
    return found.listing_ids[found.event_ids == event.pk].tolist()


# --- Recording -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("said", "positions", "n_ids"),
    [
        ({"positions": [3, 1, 3]}, [1, 3], 0),
        ({"position": 2}, [2], 0),
        ({"listing_ids": [0, 1]}, [], 2),
        ({"listing_id": 0}, [], 1),
        ({"external_ids": ["a-0", "a-1"]}, [], 2),
        ({"external_id": "a-1"}, [], 1),
        ({"positions": [4], "listing_ids": [0]}, [4], 1),
    ],
)
@pytest.mark.parametrize("has_id", [True, False])
def test_an_impression_names_positions_or_cars_by_either_id(said, positions, n_ids, has_id, system, buyer):
    cars = [ListingFactory(source="api", external_id=f"a-{number}") for number in range(5)]
    shown = served(buyer, cars)
    said = {**said, **({"listing_id": cars[0].pk} if "listing_id" in said else {})}
    said |= {"listing_ids": [cars[at].pk for at in said["listing_ids"]]} if "listing_ids" in said else {}
    body = {"kind": "impression", "buyer": "customer-1", "list_id": str(shown.pk), **said}
    body |= {"event_id": "e-1"} if has_id else {}
    got = system.post(EVENTS, {"events": [body]}, format="json")
    assert got.status_code == 201, got.json()
    assert got.json()["recorded"] == 1
    row = Impression.objects.get()
    assert (row.positions, len(row.listing_ids), row.served_list_id, row.buyer) == (positions, n_ids, shown.pk, buyer)
    assert not Interaction.objects.filter(buyer=buyer).exists()


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"kind": "impression"}, "positions"),
        ({"kind": "impression", "positions": []}, "positions"),
        ({"kind": "impression", "positions": [0]}, "positions[0]"),
        ({"kind": "impression", "positions": [1]}, "positions"),
        ({"kind": "impression", "listing_ids": [2**62]}, "listing_ids"),
        ({"kind": "impression", "external_ids": ["unheard-of"]}, "external_ids"),
        ({"kind": "impression", "external_id": "unheard-of"}, "external_ids"),
        ({"kind": "impression", "listing_id": "car", "dwell_seconds": 3}, "dwell_seconds"),
        ({"kind": "impression", "listing_id": "car", "value": "3.00"}, "value"),
        ({"kind": "impression", "listing_id": "car", "query": {"brand": ["skoda"]}}, "query"),
        ({"kind": "view", "listing_id": "car", "positions": [1]}, "positions"),
        ({"kind": "view", "listing_id": "car", "listing_ids": [1]}, "listing_ids"),
        ({"kind": "view", "listing_id": "car", "dwell_seconds": -1}, "dwell_seconds"),
        ({"kind": "view", "listing_id": "car", "dwell_seconds": "nan"}, "dwell_seconds"),
        ({"kind": "view", "listing_id": "car", "dwell_seconds": 90_000}, "dwell_seconds"),
        ({"kind": "contact", "listing_id": "car", "dwell_seconds": 1}, "dwell_seconds"),
        ({"kind": "view", "listing_id": "car", "value": "3.00"}, "value"),
        ({"kind": "contact", "listing_id": "car", "value": "-3.00"}, "value"),
        ({"kind": "contact", "listing_id": "car", "value": "NaN"}, "value"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(said, field, system, cars):
    body = {"buyer": "customer-1", **said}
    body |= {"listing_id": cars[0].pk} if body.get("listing_id") == "car" else {}
    got = system.post(EVENTS, body, format="json")
    assert got.status_code == 400
    assert field in got.json()["error"]["fields"]
    assert not Impression.objects.exists()


def test_what_a_contact_is_worth_only_a_client_system_says(cars):
    guest = APIClient(headers={"X-Visitor-Key": "a-browser-of-a-guest"})
    body = {"kind": "contact", "listing_id": cars[0].pk}
    got = guest.post(EVENTS, {**body, "value": "9999999999.99"}, format="json")
    assert (got.status_code, list(got.json()["error"]["fields"])) == (400, ["value"])
    assert guest.post(EVENTS, body, format="json").status_code == 201


def test_impressions_of_too_many_cars_at_once_are_refused_before_they_are_read(system):
    one = {"kind": "impression", "buyer": "customer-1", "positions": [*range(1, 1001)]}
    got = system.post(EVENTS, {"events": [one] * 21}, format="json")
    assert (got.status_code, list(got.json()["error"]["fields"])) == (400, ["events"])
    many = {"kind": "impression", "buyer": "customer-1", "listing_ids": [2**40 + at for at in range(1000)]}
    assert len(system.post(EVENTS, many, format="json").json()["error"]["fields"]["listing_ids"]) == 10


def test_an_impression_sent_again_is_a_repeat_and_its_id_is_no_other_events(system, buyer, cars):
    shown = served(buyer, cars)
    body = {"kind": "impression", "buyer": "customer-1", "event_id": "e-1", "list_id": str(shown.pk), "positions": [1]}
    assert system.post(EVENTS, body, format="json").json()["recorded"] == 1
    assert system.post(EVENTS, body, format="json").json()["repeated"] == 1
    assert system.post(EVENTS, {**body, "positions": [1, 2]}, format="json").status_code == 409
    view = {"kind": "view", "buyer": "customer-1", "event_id": "e-1", "listing_id": cars[0].pk}
    got = system.post(EVENTS, view, format="json")
    assert got.status_code == 409
    assert "impression" in str(got.json())
    assert system.post(EVENTS, {**view, "event_id": "e-2"}, format="json").json()["recorded"] == 1
    assert system.post(EVENTS, {**body, "event_id": "e-2"}, format="json").status_code == 409
    assert Impression.objects.count() == Interaction.objects.count() == 1


def test_many_impressions_cost_few_statements(system, buyer, cars, django_assert_max_num_queries):
    shown = served(buyer, cars)
    events = [
        {"kind": "impression", "buyer": "customer-1", "event_id": f"e-{number}", "list_id": str(shown.pk),
         "positions": [1, 2]}
        for number in range(50)
    ]  # fmt: skip
    system.post(EVENTS, {"events": events[:1]}, format="json")
    with django_assert_max_num_queries(18):
        assert system.post(EVENTS, {"events": events[1:]}, format="json").json()["recorded"] == 49


def test_an_impression_changes_neither_the_log_nor_what_is_believed(buyer, cars):
    before = LogPosition.of(buyer.pk)
    see(buyer, served(buyer, cars), 1, 2, 3)
    assert LogPosition.of(buyer.pk) == before
    assert not len(read_events(timezone.now() - timedelta(days=1)))


def test_the_history_of_a_guest_has_their_impressions_and_an_export_says_them(cars):
    guest, account = buyer_for_visitor("a-browser"), BuyerFactory()
    see(guest, served(guest, cars), 2)
    merge_guest(guest=guest, into=account)
    assert Impression.objects.get().buyer == account
    assert export_person(buyer=account)["impressions"][0]["positions"] == [2]


def test_old_impressions_are_removed_as_the_setting_says(settings, buyer, cars):
    see(buyer, served(buyer, cars), 2)
    Impression.objects.update(received_at=timezone.now() - timedelta(days=70))
    remove_old_rows(now=timezone.now())
    assert Impression.objects.exists(), "kept for ever at first"
    settings.KEEP_IMPRESSIONS_DAYS = 60
    remove_old_rows(now=timezone.now())
    assert not Impression.objects.exists()


# --- Choice sets -----------------------------------------------------------------------------------------------------
def test_what_was_served_and_not_seen_was_not_turned_down(buyer, cars):
    shown = served(buyer, cars)
    event = InteractionFactory(buyer=buyer, listing=cars[2], served_list=shown, position=3, attribution="checked")
    everything = [cars[at].pk for at in (0, 1, 3, 4)]
    assert beside(event) == everything
    see(BuyerFactory(), shown, 1)
    assert beside(event) == everything, "another buyer cannot say what this one saw"
    see(buyer, shown, 1, 3)
    assert beside(event) == [cars[0].pk]
    record_interactions(buyer=buyer, events=[Event(kind="impression", served_list_id=shown.pk, seen_ids=[cars[4].pk])])
    assert beside(event) == [cars[0].pk, cars[4].pk]
    InteractionFactory(buyer=buyer, listing=cars[3], served_list=shown, position=4, attribution="checked")
    assert beside(event) == [cars[0].pk, cars[3].pk, cars[4].pk], "what was opened was seen"


def test_a_preference_learned_before_the_impressions_came_is_learned_again(market_of_module: Market):
    buyer, cars = BuyerFactory(external=True), market_of_module.skodas[:5]
    shown = served(buyer, cars)
    record_interactions(
        buyer=buyer, events=[Event(kind="view", listing_id=cars[2].pk, served_list_id=shown.pk, position=3)]
    )
    Preference.objects.create(
        buyer=buyer, version=market_of_module.version, mean=[0.0] * 128, covariance=b"", basis="b",
        computed_at=timezone.now(),
    )  # fmt: skip
    see(buyer, served(buyer, cars), 1)
    assert Preference.objects.get(buyer=buyer).basis == "b", "a list that no event came from"
    see(buyer, shown, 1)
    assert not Preference.objects.get(buyer=buyer).basis


# --- Figures ---------------------------------------------------------------------------------------------------------
def test_frequency_caps_count_what_was_seen_once_the_placement_sends_impressions(buyer, cars):
    lists = [served(buyer, cars) for _ in range(3)]
    everything = {car.pk for car in cars}
    assert frequency_capped_listings(buyer, 3) == everything
    for shown in lists:
        see(buyer, shown, 1)
        see(buyer, shown, 1, 2)
    assert frequency_capped_listings(buyer, 3) == {cars[0].pk, cars[1].pk}
    others = [served(buyer, cars[3:], placement=None) for _ in range(3)]
    assert frequency_capped_listings(buyer, 3) == {cars[at].pk for at in (0, 1, 3, 4)}, others


def test_a_buyer_whose_client_sends_no_impressions_is_counted_by_what_was_served(buyer, cars):
    see(buyer, served(buyer, cars), 1)
    assert Placement.objects.get(slug="home").impressions_since
    with_an_app = BuyerFactory(external=True)
    for _ in range(3):
        served(with_an_app, cars[2:], served_at=timezone.now())
    assert frequency_capped_listings(with_an_app, 3) == {car.pk for car in cars[2:]}
    assert read_sample(timezone.now() + timedelta(minutes=1)).total().n_shown == 1 + 3 * 3


def test_an_old_list_counts_no_more_than_a_day_as_unseen(buyer, cars):
    see(buyer, served(buyer, cars, served_at=timezone.now() - timedelta(days=5)), 1)
    assert Placement.objects.get(slug="home").impressions_since > timezone.now() - timedelta(days=1, minutes=1)


def test_bots_do_not_decide_how_lists_are_counted(buyer, cars):
    for _ in range(30):
        bot = BuyerFactory(external=True)
        served(bot, cars[:1])
        BotMark.objects.create(buyer=bot, reason=BotMark.Reason.DECLARED)
    see(buyer, served(buyer, cars), 1)
    assert Placement.objects.get(slug="home").impressions_since


def test_lists_from_before_are_counted_as_they_were_served(buyer, cars):
    for _ in range(3):
        served(buyer, cars, served_at=timezone.now() - timedelta(days=3))
    see(buyer, served(buyer, cars), 1)
    assert frequency_capped_listings(buyer, 3) == {car.pk for car in cars}


def test_one_visitor_changes_not_how_the_lists_of_all_are_counted(cars):
    for _ in range(LISTS_LOOKED_AT):
        served(BuyerFactory(external=True), cars[:1])
    guest = buyer_for_visitor("a-browser")
    see(guest, served(guest, cars), 1)
    assert Placement.objects.get(slug="home").impressions_since is None


def test_a_placement_whose_impressions_no_longer_come_is_counted_by_what_was_served(cars):
    buyer, now = BuyerFactory(external=True), timezone.now()
    see(buyer, served(buyer, cars, served_at=now - timedelta(hours=20)), 1)
    assert Placement.objects.get(slug="home").impressions_since
    assert end_counting(now) == 0, "too few lists to tell"
    for _ in range(LISTS_LOOKED_AT):
        served(buyer, cars[:1], served_at=now - timedelta(hours=1))
    assert end_counting(now) == 1
    assert Placement.objects.get(slug="home").impressions_since is None


def test_click_rates_and_the_figures_of_cars_and_dealers_count_what_was_seen(buyer, cars, seller):
    shown = served(buyer, cars)
    InteractionFactory(
        buyer=buyer, listing=cars[1], served_list=shown, position=2, attribution="checked", occurred_at=timezone.now()
    )

    def figures() -> tuple[int, int, int]:
        CountedDay.objects.all().delete()  # two hours ago may be yesterday, which is counted once a day
        count_exposure()
        total = read_sample(timezone.now()).total()
        return total.n_shown, SellerDay.objects.get(seller=seller).shown, exposure_of(cars[4].pk).total.n_shown

    assert figures() == (5, 5, 1)
    see(buyer, shown, 1)
    assert figures() == (2, 2, 0), "one that was seen, and one that was opened"
    see(buyer, shown, 5)
    assert figures() == (3, 3, 1)


def test_an_experiment_counts_what_was_seen_and_adds_up_what_contacts_are_worth(cars):
    home, _ = Placement.objects.get_or_create(slug="home")
    start = timezone.now() - timedelta(days=20)
    Placement.objects.filter(pk=home.pk).update(impressions_since=start)  # they came in then
    experiment = Experiment.objects.create(
        slug="trial", placement=home, status="running", started_at=start, outcome_days=2, control="a",
        variants={"a": {"share": 1, "overrides": {}}, "b": {"share": 1, "overrides": {}}},
    )  # fmt: skip
    for arm, value in [("a", "10.00"), ("a", "2.50"), ("b", None)]:
        buyer = BuyerFactory(external=True)
        shown = served(buyer, cars, variant=arm, served_at=start + timedelta(hours=1))
        see(buyer, shown, 1, 2)
        InteractionFactory(
            buyer=buyer, listing=cars[0], kind_id="contact", value=value, served_list=shown, position=1,
            attribution="checked", occurred_at=start + timedelta(hours=2),
        )  # fmt: skip
    reading = read_experiment(experiment, timezone.now())
    experiment.measured = reading.as_json()
    experiment.measured_at = reading.read_at
    report = report_on(experiment, Reading.of(experiment))
    arms = {arm.name: arm for arm in report.arms}
    assert (arms["a"].n_shown, arms["b"].n_shown) == (4, 2)
    assert (arms["a"].value, arms["b"].value) == (12.5, 0.0)
    assert arms["a"].value_per_buyer == 6.25


def test_what_an_earlier_release_measured_is_read_with_no_value(cars):
    home, _ = Placement.objects.get_or_create(slug="home")
    cell = ["a", "2026-01-15", "new", False, 3, 4, 20, 0.0, 0.0, [1.0] * 5, [1.0] * 5, [0.0] * 5]
    experiment = Experiment(
        slug="old", placement=home, measured_at=timezone.now(), measured={"outcome_days": 7, "cells": [cell]},
        variants={"a": {"share": 1}},
    )  # fmt: skip
    reading = Reading.of(experiment)
    assert reading.moments("value", "a").y == 0.0
    assert reading.moments("clicks", "a").y == 1.0


# --- Dwell and value -------------------------------------------------------------------------------------------------
def test_dwell_weighs_a_view_from_a_quarter_to_twice_and_saturates():
    given = np.array([0.0, USUAL_DWELL_SECONDS, 600.0, 86_400.0, np.nan])
    np.testing.assert_allclose(dwell_factors(given), [BOUNCE, 1.0, LONGEST_DWELL, LONGEST_DWELL, 1.0], atol=1e-6)
    assert (np.diff(dwell_factors(np.arange(100.0))) > 0).all()
    with pytest.raises(ValueError, match="dwell_seconds"):
        dwell_factors([-1.0])


@pytest.mark.parametrize(
    ("views", "factor"),
    [
        ([None], 1.0),
        ([1.0], dwell_factors([1.0])[0]),
        ([90.0], dwell_factors([90.0])[0]),
        ([None, 2.0], dwell_factors([2.0])[0]),
        ([2.0, 90.0, None], dwell_factors([90.0])[0]),
    ],
)
def test_a_page_recorded_when_opened_and_when_left_counts_by_the_time_it_was_looked_at(
    views, factor, market_of_module: Market
):
    buyer, car = BuyerFactory(external=True), market_of_module.skodas[0]
    now = timezone.now()
    for number, dwell in enumerate(views):
        InteractionFactory(buyer=buyer, listing=car, occurred_at=now, event_id=f"v-{number}", dwell_seconds=dwell)
    with_snapshot = choices_in(buyer, now)
    assert with_snapshot.weights.tolist() == pytest.approx([factor])


def test_a_contact_counts_however_long_the_page_was_looked_at(market_of_module: Market):
    buyer, car = BuyerFactory(external=True), market_of_module.skodas[0]
    now = timezone.now()
    InteractionFactory(buyer=buyer, listing=car, occurred_at=now, dwell_seconds=1.0)
    InteractionFactory(buyer=buyer, listing=car, occurred_at=now, kind_id="contact")
    assert choices_in(buyer, now).weights.tolist() == pytest.approx([2.0])


def choices_in(buyer, now):
    with borrow_index() as snapshot:
        on_listings, _ = choices_of(read_histories([buyer.pk], 10), snapshot, now, 5)
    return on_listings


def test_dwell_and_value_are_kept_also_while_the_car_is_yet_to_come(system):
    view = {"kind": "view", "buyer": "customer-1", "external_id": "late", "dwell_seconds": 12.5}
    contact = {"kind": "contact", "buyer": "customer-1", "external_id": "late", "value": "99.90"}
    got = system.post(EVENTS, {"events": [view, contact]}, format="json")
    assert (got.status_code, WaitingEvent.objects.count()) == (201, 2)
    ListingFactory(source="api", external_id="late")
    release_all()
    own = Interaction.objects.filter(buyer__external_id="customer-1")
    kept = {event.kind_id: (event.dwell_seconds, event.value) for event in own}
    assert kept == {"view": (12.5, None), "contact": (None, Decimal("99.90"))}


@pytest.mark.parametrize(("name", "one", "other"), [("dwell_seconds", 3, 4), ("value", "3.00", "4.00")])
def test_the_same_id_with_another_dwell_or_value_is_a_conflict(name, one, other, system, cars):
    kind = "view" if name == "dwell_seconds" else "contact"
    body = {"kind": kind, "buyer": "customer-1", "event_id": "e-1", "listing_id": cars[0].pk, name: one}
    assert system.post(EVENTS, body, format="json").status_code == 201
    assert system.post(EVENTS, body, format="json").json()["repeated"] == 1
    assert system.post(EVENTS, {**body, name: other}, format="json").status_code == 409
