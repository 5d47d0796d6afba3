"""Merchandising rules in the console: made by a form, previewed before saving, undone in one click, audited."""

from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from recommendations.admin.merchandising import CONFLICTS
from recommendations.merchandising import changes
from recommendations.merchandising.rules import current_rules
from recommendations.models import MerchandisingChange, MerchandisingRule, Placement
from recommendations.serving.lists import ListRequest, recommend
from tests.factories import BuyerFactory, ListingFactory, SellerFactory, UserFactory
from tests.html_forms import fields_of
from tests.markets import trained_market, view

pytestmark = pytest.mark.django_db

ADD = "admin:recommendations_merchandisingrule_add"
LIST = "admin:recommendations_merchandisingrule_changelist"


def page_of(rule: MerchandisingRule) -> str:
    return reverse("admin:recommendations_merchandisingrule_change", args=[rule.pk])


def filled(client: Client, address: str, **given) -> dict:
    """The form as it stands, with some of it filled in."""
    return {**fields_of(client.get(address).text), **given}


def add(client: Client, **given):
    defaults = {"name": "A rule", "is_active": "on", "action": "hide"}
    return client.post(reverse(ADD), filled(client, reverse(ADD), **{**defaults, **given}))


def test_a_rule_is_made_without_json_in_the_words_of_a_search(operator: Client):
    seller, car = SellerFactory(), ListingFactory()
    given = {
        "action": "boost", "strength": "20", "target_make": "Škoda, VW", "target_fuel": ["hybrid", "electric"],
        "target_max_price": "20000", "target_tag": "towbar", "sellers": [seller.pk], "listings": [car.pk],
        "placements": [Placement.objects.get(slug="home").pk], "audience": "interested", "interest_body": ["suv"],
        "from_time": "08:00", "until_time": "18:30", "is_promoted": "on", "holdout": "10",
    }  # fmt: skip
    assert add(operator, **given).status_code == 302
    (rule,) = current_rules()
    assert rule.target.makes == ("skoda", "volkswagen")
    assert (rule.target.fuels, rule.target.max_price, rule.target.tags) == (("hybrid", "electric"), 20_000, ("towbar",))
    assert (rule.target.seller_ids, rule.target.listing_ids) == ((seller.pk,), (car.pk,))
    assert (rule.placements, rule.interest.bodies, rule.holdout) == (("home",), ("suv",), 0.1)
    page = page_of(MerchandisingRule.objects.get())
    form = operator.get(page).context["adminform"].form
    assert (form.initial["target_make"], form.initial["interest_body"]) == ("skoda, volkswagen", ["suv"])
    assert operator.post(page, filled(operator, page)).status_code == 302
    assert current_rules() == (rule,)


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({}, None),
        ({"action": "pin", "target_make": "BMW"}, "position"),
        ({"action": "boost", "target_make": "BMW"}, "strength"),
        ({"action": "bury", "strength": "100", "target_make": "BMW"}, "strength"),
        ({"action": "cap", "target_make": "BMW"}, "share"),
        ({"target_min_price": "9", "target_max_price": "3"}, "target_min_price"),
        ({"target_lat": "50"}, "target_lon target_radius_km"),
        ({"target_make": "BMW", "from_time": "08:00"}, "until_time"),
        ({"target_make": "BMW", "audience": "interested"}, None),
        ({"target_make": "BMW", "starts_at_0": "2026-05-02", "starts_at_1": "10:00", "ends_at_0": "2026-05-01",
          "ends_at_1": "10:00"}, "ends_at"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_marked_at_its_field(operator: Client, given, at):
    answer = add(operator, **given)
    assert answer.status_code == 200
    errors = answer.context["adminform"].form.errors
    assert set(errors) == set((at or "__all__").split())
    assert not MerchandisingRule.objects.exists()


def test_a_preview_shows_real_lists_and_stores_nothing(operator: Client):
    market = trained_market(6)
    view(BuyerFactory(), *market.bmws[:4])
    given = {"name": "Pin", "action": "pin", "position": "1", "listings": [market.skodas[0].pk], "is_active": "on"}
    answer = add(operator, **given, _preview="1")
    assert "1 came in" in answer.text or "changed places" in answer.text
    says = dict(answer.context["says"])
    assert (says["Which cars"], says["Where"]) == (str(market.skodas[0]), "everywhere")
    assert not MerchandisingRule.objects.exists()
    kept = fields_of(answer.text)
    assert kept["action"] == ["pin"]
    again = operator.post(reverse(ADD), {**kept, "_edit": "1"})
    assert "Nothing is saved yet" in again.text
    assert not MerchandisingRule.objects.exists()
    assert operator.post(reverse(ADD), {**kept, "_save": "1"}).status_code == 302
    assert recommend(ListRequest(buyer=None, k=3)).items[0].listing == market.skodas[0]
    changed = add(operator, name="", _preview="1")  # what is wrong is shown by the form
    assert changed.context["adminform"].form.errors


def rule_of(client: Client, **given) -> MerchandisingRule:
    assert add(client, **given).status_code == 302
    return MerchandisingRule.objects.get(name=given["name"])


def listed(buyer) -> list[int]:
    return [item.listing.pk for item in recommend(ListRequest(buyer=buyer, k=6)).items]


CAR = "the car that a rule names"


@pytest.mark.parametrize(("one", "other", "said"), [
    ({"action": "pin", "position": "1", "listings": CAR}, {"action": "pin", "position": "1", "target_make": "BMW"},
     "“One” and “Other” want rank 1: “One” has it (of equal priority, the older rule goes first), and “Other” goes to "
     "rank 2."),
    ({"action": "pin", "position": "1", "listings": CAR},
     {"action": "pin", "position": "1", "target_make": "BMW", "priority": "50"},
     "“Other” and “One” want rank 1: “Other” has it (priority 50 goes before 100), and “One” goes to rank 2."),
    ({"action": "pin", "position": "1", "listings": CAR}, {"action": "hide", "listings": CAR},
     "“Other” hides 1 car of “One”: hidden cars are never pinned."),
    ({"action": "boost", "strength": "50", "target_make": "Skoda"},
     {"action": "bury", "strength": "50", "target_make": "Skoda"},
     "“One” moves 6 cars of it, too: together their odds change by -25%."),
    ({"action": "pin", "position": "1", "n_pinned": "2", "target_make": "Skoda"},
     {"action": "cap", "share": "10", "target_make": "Skoda"},
     "“One” pins cars that “Other” caps at 10% of a list (6 cars): the cap counts pinned cars and removes none, so "
     "fewer others of its cars are listed."),
], ids=["two pins", "two pins, by priority", "pin and hide", "boost and bury", "pins and a cap"])  # fmt: skip
def test_rules_in_conflict_say_which_goes_first_before_saving_after_it_and_not_once_undone(
    operator: Client, one, other, said
):
    market = trained_market(6)
    Placement.objects.update(max_per_model=0, max_per_seller=0, exploration_positions=0, fresh_share=0, diversity=0)
    Placement.objects.update(k=6)
    one, other = (
        {key: [market.skodas[0].pk] if value is CAR else value for key, value in given.items()}
        for given in (one, other)
    )
    rule_of(operator, name="One", **one)

    preview = add(operator, name="Other", **other, _preview="1")

    assert preview.context["conflicts"] == [said]
    assert said in unescape(preview.text)
    assert CONFLICTS in unescape(preview.text)
    shown = preview.context["previews"][0]
    buyer, promised = shown["buyer"], [move.listing.pk for _, _, move in shown["lists"]["after"]]
    alone = listed(buyer)
    rule = rule_of(operator, name="Other", **other)
    assert said in unescape(operator.get(page_of(rule)).text)
    assert listed(buyer) == promised  # what was shown before saving is what is served after it
    operator.post(page_of(rule), {"_undo": "1"})
    assert said not in unescape(operator.get(page_of(rule)).text)
    assert listed(buyer) == alone


def test_each_change_is_audited_and_taken_back_in_one_click(operator: Client):
    add(operator, action="hide", target_make="BMW", name="One")
    rule = MerchandisingRule.objects.get()
    first = changes.state_of(rule)
    seller = SellerFactory()
    operator.post(page_of(rule), filled(operator, page_of(rule), sellers=[seller.pk], target_make="Skoda", holdout="5"))
    rule.refresh_from_db()
    assert (rule.target, rule.holdout, rule.sellers.get()) == ({"makes": ["skoda"]}, 5, seller)
    operator.post(page_of(rule), {"_undo": "1"})
    rule.refresh_from_db()
    assert changes.state_of(rule) == first
    assert AuditEntry.objects.order_by("pk").last().action == "undone"
    operator.post(page_of(rule), {"_undo": "1"})  # the rule was new
    rule.refresh_from_db()
    assert not rule.is_active
    assert "taken back already" in operator.post(page_of(rule), {"_undo": "1"}, follow=True).text
    assert [one.is_undone for one in MerchandisingChange.objects.all()] == [True, True]
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["added", "changed", "undone", "undone"]


def test_rules_are_switched_in_the_list_and_never_removed(operator: Client):
    add(operator, target_make="BMW")
    rule = MerchandisingRule.objects.get()
    for on in (False, True):
        name = "switch_on" if on else "switch_off"
        operator.post(reverse(LIST), {"action": name, "_selected_action": [rule.pk]})
        rule.refresh_from_db()
        assert rule.is_active == on
    operator.post(page_of(rule), {"_undo": "1"})
    rule.refresh_from_db()
    assert not rule.is_active
    assert operator.post(reverse("admin:recommendations_merchandisingrule_delete", args=[rule.pk])).status_code == 403


def test_who_may_only_look_neither_undoes_nor_previews(client: Client):
    rule = MerchandisingRule.objects.create(name="A", action="hide", target={"makes": ["bmw"]}, is_active=True)
    changes.record_change(rule, None, None)
    client.force_login(UserFactory(is_staff=True))
    for button in ("_undo", "_preview"):
        assert client.post(page_of(rule), {button: "1"}).status_code == 403
    rule.refresh_from_db()
    assert rule.is_active


def test_a_preview_without_the_right_to_see_buyers_saves_nothing(client: Client):
    person = UserFactory(is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__endswith="_merchandisingrule"))
    client.force_login(person)
    assert 'name="_preview"' not in client.get(reverse(ADD)).text
    assert add(client, target_make="BMW", _preview="1").status_code == 403
    assert not MerchandisingRule.objects.exists()
    add(client, target_make="BMW")
    rule = MerchandisingRule.objects.get()
    assert client.post(page_of(rule), filled(client, page_of(rule), name="B", _preview="1")).status_code == 403
    rule.refresh_from_db()
    assert rule.name == "A rule"
    client.force_login(UserFactory(operator=True))
    assert 'name="_preview"' in client.get(reverse(ADD)).text


# --- The shortest ways -----------------------------------------------------------------------------------------------
def saved_as_filled_in(client: Client, address: str) -> MerchandisingRule:
    """The rule of the form that a button leads to, saved as it stands."""
    form = client.get(address)
    assert form.status_code == 302
    client.post(form.url, fields_of(client.get(form.url).text))
    return MerchandisingRule.objects.latest("pk")


def test_a_dealer_is_hidden_for_a_week_by_one_button(operator: Client):
    seller, others = SellerFactory(name="Autos “Ö” & Sons" * 3), ListingFactory()
    address = reverse("admin:catalog_seller_hide_for_a_week", args=[seller.pk])
    rules = [saved_as_filled_in(operator, address) for _ in range(2)]
    for rule in rules:
        assert (rule.action, rule.is_active, list(rule.sellers.all())) == ("hide", True, [seller])
        assert timedelta(days=6, hours=23) < rule.ends_at - timezone.now() <= timedelta(days=7)
    assert rules[0].name != rules[1].name
    assert others.seller not in rules[0].sellers.all()


def test_a_car_is_pinned_by_one_button(operator: Client):
    car = ListingFactory()
    rule = saved_as_filled_in(operator, reverse("admin:catalog_listing_pin", args=[car.pk]))
    assert (rule.action, rule.position, rule.is_active, list(rule.listings.all())) == ("pin", 1, True, [car])


@pytest.mark.parametrize("ends", ["2026-13-45T10:00", "soon", "", "2026-03-01T10:00:00+00:00", "\u0000"])
def test_a_link_fills_in_a_rule_whatever_it_says(operator: Client, ends):
    page = operator.get(reverse(ADD), {"action": "boost", "strength": "20", "ends_at": ends, "starts_at": ends})
    assert page.status_code == 200
    assert fields_of(page.text)["strength"] in ("20", ["20"])


def test_each_kind_of_rule_is_begun_by_a_link_above_the_list(operator: Client, client: Client):
    page = operator.get(reverse(LIST)).text
    assert all(f"?is_active=1&amp;action={action}" in page for action in MerchandisingRule.Action.values)


def test_the_dashboard_leads_to_a_first_visit(operator: Client):
    page = operator.get(reverse("admin:index")).text
    assert f'action="{reverse("shop-visitor")}"' in page
    answer = operator.post(reverse("shop-visitor"), {"role": "new"}, follow=True)
    assert "Nothing yet of New visitor" in answer.text or "new visitor" in answer.text.lower()
