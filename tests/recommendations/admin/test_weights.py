"""Weights and mixes: previewed on real buyers, saved by who may, and kept in the audit log."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from recommendations.buyers.refresh import refresh_preferences
from recommendations.insight.offline_test_runs import run_offline_test
from recommendations.models import EventKind, Interaction, Placement, Preference, WeightTrial
from recommendations.serving.lists import ListRequest, recommend
from tests.factories import BuyerFactory, PlacementFactory, UserFactory
from tests.markets import remove_market, view
from tests.recommendations.insight.test_what_if import everything_stored, ids

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]
QUERIES = 90  # some thirty for each way of each buyer's list, of whom two are shown


@pytest.fixture
def market(market_of_module):
    return market_of_module


@pytest.fixture
def fan(market):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    view(buyer, *market.skodas[:4], kind="compare")
    refresh_preferences(buyer_id=buyer.pk)
    return buyer


KINDS = "admin:recommendations_eventkind_weights"


def kinds_page(**asked) -> str:
    return reverse(KINDS, query=asked or None)


def mix_page(placement=None, **asked) -> str:
    placement = placement or Placement.objects.get(slug="home")
    return reverse("admin:recommendations_placement_mix", args=[placement.pk], query=asked or None)


def saving(client: Client, url: str) -> dict[str, str]:
    """What the save button of a preview would post."""
    form = client.get(url).context["form"]
    return {**dict(form.as_query), "basis": form.basis}


# --- Preview ---------------------------------------------------------------------------------------------------------
def test_weights_are_previewed_on_real_buyers_and_nothing_is_stored(operator: Client, fan):
    before = everything_stored()
    page = operator.get(kinds_page(buyers=fan.user.email, weight_compare="0", weight_view="6"))
    assert page.context["changes"] == [
        ("Compared: weight", "1.2", "0"),
        ("Opened the page: weight", "1", "6"),
    ]
    (preview,) = page.context["previews"]
    assert preview["buyer"] == fan
    assert preview["lists"]["summary"] != "The list stays as it is."
    after = everything_stored()
    del before["django_session"], after["django_session"]
    assert after == before


def test_the_list_before_is_the_one_that_is_served(operator: Client, fan):
    (preview,) = operator.get(kinds_page(buyers=str(fan.pk), weight_view="6")).context["previews"]
    served = [item.listing.pk for item in recommend(ListRequest(buyer=fan)).items]
    assert [move.listing.pk for _, _, move in preview["lists"]["before"]] == served


def test_without_a_change_both_lists_are_the_same(operator: Client, fan):
    page = operator.get(kinds_page(buyers=str(fan.pk)))
    assert page.context["changes"] == []
    assert page.context["previews"][0]["lists"]["summary"] == "The list stays as it is."
    assert "Save these values" not in page.text


def test_buyers_are_drawn_at_random_and_the_same_for_the_same_seed(operator: Client, fan):
    drawn = [
        [shown["buyer"].pk for shown in operator.get(kinds_page(seed=seed, n=4)).context["previews"]]
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 4


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"weight_view": "99"}, "less than or equal to 20"),
        ({"half_life_days_view": "0"}, "greater than or equal to 0.01"),
        ({"weight_view": "much"}, "Enter a number"),
        ({"buyers": "unknown@nowhere"}, "No buyer is known as unknown@nowhere"),
        ({"buyers": "1,2,3,4,5,6,7"}, "Name at most 6 buyers, not 7"),
        ({"placement": "nowhere"}, "nowhere is not one of the available choices"),
    ],
)
def test_values_that_make_no_sense_are_reported_beside_their_field(operator: Client, fan, asked, message):
    page = operator.get(kinds_page(**asked))
    assert page.status_code == 200
    assert message in page.text
    assert "previews" not in page.context


def test_a_mix_is_previewed_too(operator: Client, fan):
    page = operator.get(mix_page(buyers=str(fan.pk), max_per_model="2", boost_freshness="0.5", share_trending="0"))
    assert set(page.context["changes"]) == {
        ("Max per model", "8", "2"),
        ("Weight of freshness", "as learned", "0.5"),
        ("Share of trending", "0.06", "0"),
    }
    assert len(page.context["previews"][0]["lists"]["after"]) == 20


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"diversity": "2"}, "less than or equal to 1"),
        ({"exploration_positions": "16", "fresh_share": "0.8"}, "together must take no more than the whole list"),
        ({f"share_{name}": "0" for name in (
            "taste", "neighbours", "saved_search", "price_drop", "trending", "fresh", "exploration", "new_arrivals",
            "promoted",
        )}, "Every source is switched off"),
    ],
)  # fmt: skip
def test_rules_that_make_no_sense_together_are_refused(operator: Client, fan, asked, message):
    assert message in operator.get(mix_page(**asked)).text
    answer = operator.post(mix_page(), {**saving(operator, mix_page()), **asked})
    assert answer.status_code == 200
    assert "Nothing was saved" in answer.text
    assert Placement.objects.get(slug="home").diversity == 0.05


def test_without_a_ranker_or_buyers_it_says_so(operator: Client):
    remove_market()
    assert "No buyer has done anything yet" in operator.get(kinds_page()).text
    view(BuyerFactory(), *[])
    buyer = BuyerFactory()
    assert "no ranker version is live yet" in operator.get(kinds_page(buyers=str(buyer.pk))).text


# --- Saving ----------------------------------------------------------------------------------------------------------
def test_what_was_previewed_is_saved_and_kept_in_the_audit_log(operator: Client, fan):
    asked = {"weight_view": "3", "half_life_days_contact": "10"}
    (preview,) = operator.get(kinds_page(buyers=str(fan.pk), **asked)).context["previews"]
    answer = operator.post(kinds_page(), saving(operator, kinds_page(buyers=str(fan.pk), **asked)), follow=True)
    assert "Opened the page: weight 1 → 3" in answer.text
    assert EventKind.objects.get(slug="view").weight == 3
    assert EventKind.objects.get(slug="contact").half_life_days == 10
    entries = {entry.object_name: entry for entry in AuditEntry.objects.all()}
    assert set(entries) == {"Opened the page", "Contacted the seller"}
    assert entries["Opened the page"].before == {"weight": 1.0}
    assert entries["Opened the page"].after == {"weight": 3.0}
    served = ids(recommend(ListRequest(buyer=fan)))
    assert served == [move.listing.pk for _, _, move in preview["lists"]["after"]]


def test_a_mix_is_saved_as_it_was_previewed(operator: Client, fan):
    asked = {"max_per_model": "3", "share_trending": "0.2", "boost_deal": "0.4", "follows_intent": "False"}
    operator.post(mix_page(), saving(operator, mix_page(**asked)))
    home = Placement.objects.get(slug="home")
    assert (home.max_per_model, home.sources, home.boosts) == (3, {"trending": 0.2}, {"deal": 0.4})
    assert home.follows_intent is False
    entry = AuditEntry.objects.get()
    assert entry.before == {"max_per_model": 8, "sources": {}, "boosts": {}, "follows_intent": True}
    assert entry.after == {
        "max_per_model": 3, "sources": {"trending": 0.2}, "boosts": {"deal": 0.4}, "follows_intent": False,
    }  # fmt: skip


def test_what_another_operator_saved_meanwhile_is_not_overwritten(operator: Client, fan):
    posted = saving(operator, kinds_page(weight_view="3"))
    EventKind.objects.filter(slug="contact").update(weight=4)
    answer = operator.post(kinds_page(), posted)
    assert "other values were saved meanwhile" in answer.text
    assert EventKind.objects.get(slug="view").weight == 1
    assert EventKind.objects.get(slug="contact").weight == 4


def test_saving_what_is_stored_already_changes_nothing(operator: Client, fan):
    answer = operator.post(kinds_page(), saving(operator, kinds_page()), follow=True)
    assert "There was nothing to save" in answer.text
    assert not AuditEntry.objects.exists()


def test_who_may_only_look_sees_the_preview_and_cannot_save(viewer: Client, fan):
    for page in (kinds_page(weight_view="3"), mix_page(diversity="0.4")):
        shown = viewer.get(page)
        assert shown.status_code == 200
        assert "Save these values" not in shown.text
        assert viewer.post(page.partition("?")[0], saving(viewer, page)).status_code == 403
    assert EventKind.objects.get(slug="view").weight == 1


def test_who_may_not_see_buyers_sees_nothing(client: Client, fan):
    person = UserFactory(is_staff=True)
    allowed = ["view_eventkind", "change_eventkind", "view_placement", "change_placement"]
    person.user_permissions.set(Permission.objects.filter(codename__in=allowed))
    client.force_login(person)
    assert client.get(kinds_page()).status_code == 403
    assert client.get(mix_page()).status_code == 403
    client.logout()
    assert client.get(kinds_page()).status_code == 302


def test_lists_and_pages_lead_to_it(operator: Client):
    assert "Try weights" in operator.get(reverse("admin:recommendations_eventkind_changelist")).text
    home = Placement.objects.get(slug="home")
    assert "Try a mix" in operator.get(reverse("admin:recommendations_placement_change", args=[home.pk])).text
    assert operator.get(reverse("admin:recommendations_eventkind_open_weights")).url == kinds_page()
    assert operator.get(reverse("admin:recommendations_placement_open_mix", args=[home.pk])).url == mix_page(home)
    assert operator.get(reverse("admin:recommendations_placement_mix", args=[10**6])).status_code == 404


def test_other_placements_are_previewed_by_their_own_rules(operator: Client, fan):
    short = PlacementFactory(slug="short", name="Short", k=4)
    page = operator.get(kinds_page(buyers=str(fan.pk), placement="short", weight_view="2"))
    assert len(page.context["previews"][0]["lists"]["after"]) == 4
    assert len(operator.get(mix_page(short, buyers=str(fan.pk))).context["previews"][0]["lists"]["before"]) == 4


def test_a_preview_of_two_buyers_stays_within_its_queries(operator: Client, market, fan, django_assert_max_num_queries):
    view(fan, *market.skodas, *market.bmws)
    operator.get(kinds_page(n=2))
    with django_assert_max_num_queries(QUERIES):
        operator.get(kinds_page(n=2, weight_view="2"))
    assert Preference.objects.exists()
    assert Interaction.objects.exists()


# --- Measuring -------------------------------------------------------------------------------------------------------
def measuring(client: Client, url: str) -> dict[str, str]:
    return {**dict(client.get(url).context["form"].as_query), "measure": "1"}


def test_a_preview_is_measured_by_a_worker_and_shows_what_it_found(
    operator: Client, fan, queued, django_capture_on_commit_callbacks
):
    asked = kinds_page(weight_view="3")
    assert "Measure on what buyers did" in operator.get(asked).text
    with django_capture_on_commit_callbacks(execute=True):
        answer = operator.post(kinds_page(), measuring(operator, asked))
    offline_test = WeightTrial.objects.get()
    assert queued == [("recommendations.try_weights", offline_test.pk)]
    assert AuditEntry.objects.get().object_name.startswith("offline test")
    assert EventKind.objects.get(slug="view").weight == 1
    followed = operator.get(answer.url.partition("#")[0])
    assert f"/weighttrial/{offline_test.pk}/progress/" in followed.text
    assert "Measure on what buyers did" not in followed.text
    run_offline_test(offline_test_id=offline_test.pk)
    assert "NDCG@10" in operator.get(asked).text
    assert "NDCG@10" in operator.get(reverse("admin:recommendations_weighttrial_change", args=[offline_test.pk])).text


def test_the_same_question_is_not_measured_twice(operator: Client, fan, queued, django_capture_on_commit_callbacks):
    posted = measuring(operator, mix_page(diversity="0.3"))
    with django_capture_on_commit_callbacks(execute=True):
        operator.post(mix_page(), posted)
        operator.post(mix_page(), posted)
    assert len(queued) == WeightTrial.objects.count() == 1
    with django_capture_on_commit_callbacks(execute=True):
        operator.post(mix_page(), measuring(operator, mix_page(diversity="0.4")))
    assert len(queued) == 2


def test_who_may_only_look_starts_nothing(viewer: Client, fan, queued):
    page = kinds_page(weight_view="3")
    assert "Measure on what buyers did" not in viewer.get(page).text
    assert "This was not measured yet" in viewer.get(page).text
    assert viewer.post(kinds_page(), measuring(viewer, page)).status_code == 403
    assert queued == []
