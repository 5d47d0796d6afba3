"""What a merchandising rule did: buyers with it beside those held out, by hand and in a market with a known effect."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Buyer
from recommendations.insight.rule_effects import OUTCOME_DAYS, effect_of
from recommendations.models import EventKind, Interaction, MerchandisingRule, ServedList
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, ServedListFactory, UserFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def rule() -> MerchandisingRule:
    return MerchandisingRule.objects.create(name="Vans", action="boost", strength=50, holdout=50, is_active=True)


def record(rule: MerchandisingRule, positions: list[int], *, has_it: bool) -> dict:
    mine, other = {str(rule.pk): positions}, {}
    return {"applied": mine if has_it else other, "held_out": other if has_it else mine, "promoted": []}


def shown_to(buyer, rule, days_ago: float, positions: list[int], *, has_it: bool):
    return ServedListFactory(
        buyer=buyer, served_at=NOW - timedelta(days=days_ago), listing_ids=[1, 2, 3],
        merchandising=record(rule, positions, has_it=has_it),
    )  # fmt: skip


def act(served, kind: str, position: int, days: float = 0.1, **given) -> None:
    InteractionFactory(
        buyer=served.buyer, kind=EventKind.objects.get(slug=kind), served_list=served, position=position,
        occurred_at=served.served_at + timedelta(days=days), **given,
    )  # fmt: skip


def test_cars_of_the_rule_and_all_cars_are_counted(rule):
    car = ListingFactory()
    one = shown_to(BuyerFactory(), rule, 20, [1, 3], has_it=True)
    act(one, "view", 1, listing=car)
    act(one, "contact", 1, listing=car)
    act(one, "view", 2, listing=car)
    act(one, "view", 3, listing=car, attribution="outside")
    shown_to(one.buyer, rule, 18, [2], has_it=True)
    shown_to(one.buyer, rule, 20 - OUTCOME_DAYS - 1, [1], has_it=True)  # the days are over
    shown_to(BuyerFactory(), rule, 3, [1], has_it=True)  # the days are not over
    shown_to(BuyerFactory(), rule, 70, [1], has_it=True)  # long ago
    two = shown_to(BuyerFactory(), rule, 20, [2], has_it=False)
    act(two, "view", 2, listing=car)
    shown_to(BuyerFactory(), MerchandisingRule.objects.create(name="Other", action="hide"), 20, [1], has_it=True)
    effect = effect_of(rule, NOW)
    arms = [
        (arm.n_entered, arm.n_buyers, arm.n_lists, arm.shown, arm.own_clicks, arm.own_contacts, float(arm.clicks.y),
         float(arm.contacts.y)) for arm in (effect.with_it, effect.without)
    ]  # fmt: skip
    assert arms == [(2, 1, 2, 3, 1, 1, 2.0, 1.0), (1, 1, 1, 1, 1, 0, 1.0, 0.0)]
    assert effect.sentence.startswith("Too early to say")


def test_without_a_holdout_nothing_is_claimed(rule):
    shown_to(BuyerFactory(), rule, 20, [1], has_it=True)
    assert effect_of(rule, NOW).sentence.startswith("No buyer was held out")


@pytest.mark.parametrize(
    ("rate", "words"), [(0.9, "surely more clicks"), (0.1, "surely less clicks"), (0.5, "No diff")]
)
def test_an_effect_that_was_planted_is_found(rule, rate, words):
    rng = np.random.default_rng(1)
    buyers = Buyer.objects.bulk_create([Buyer(external_id=f"b{n}") for n in range(300)])
    lists = ServedList.objects.bulk_create([
        ServedList(buyer=buyer, served_at=NOW - timedelta(days=20), listing_ids=[1, 2], scores=[], sources=[],
                   merchandising=record(rule, [1], has_it=bool(n % 2)))
        for n, buyer in enumerate(buyers)
    ])  # fmt: skip
    car, view = ListingFactory(), EventKind.objects.get(slug="view")
    Interaction.objects.bulk_create([
        Interaction(event_id=str(n), buyer_id=one.buyer_id, kind=view, listing=car, served_list=one, position=1,
                    occurred_at=one.served_at + timedelta(hours=1))
        for n, one in enumerate(lists) if rng.random() < (rate if n % 2 else 0.5)
    ])  # fmt: skip
    effect = effect_of(rule, NOW)
    assert words in effect.sentence
    assert effect.ratio_p == 1.0
    assert effect.with_it.n_buyers == effect.without.n_buyers == 150


def test_many_lists_are_read_of_a_share_of_the_buyers(rule, monkeypatch):
    for _ in range(12):
        shown_to(BuyerFactory(), rule, 20, [1], has_it=True)
    monkeypatch.setattr("recommendations.insight.rule_effects.planned_rows", lambda rows: 250_000)
    effect = effect_of(rule, NOW)
    assert effect.one_in == 3
    assert 0 < effect.with_it.n_buyers < 12


def test_the_page_shows_it(rule, client: Client):
    client.force_login(UserFactory(operator=True))
    rule_page = reverse("admin:recommendations_merchandisingrule_change", args=[rule.pk])
    assert "What it did" in client.get(rule_page).text
    page = client.get(reverse("admin:recommendations_rule_effect", args=[rule.pk])).text
    assert "No list of a buyer was about the rule" in page
    assert client.get(reverse("admin:recommendations_rule_effect", args=[rule.pk + 1])).status_code == 404
    stranger = Client()
    stranger.force_login(UserFactory(is_staff=True))
    assert stranger.get(reverse("admin:recommendations_rule_effect", args=[rule.pk])).status_code == 403
