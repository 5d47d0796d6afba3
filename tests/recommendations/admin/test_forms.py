"""Forms of the console: what people edit has fields with words of their own, and no JSON."""

import re

import pytest
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import ValidationError
from django.forms import JSONField
from django.test import Client
from django.urls import reverse

from recommendations.models import MerchandisingRule, SavedSearch
from recommendations.serving.rule_checks import refuse_boosts, refuse_filters, refuse_sources
from tests.factories import BuyerFactory, PlacementFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("refuse", "value", "error"),
    [
        (refuse_filters, {"colour_of_money": 1}, "Unknown filters: colour_of_money."),
        (refuse_filters, [1], "Write filters by name"),
        (refuse_sources, {"utility": -1}, "needs a number of at least 0"),
        (refuse_sources, {"utility": "much"}, "needs a number of at least 0"),
        (refuse_boosts, [], "Write names and numbers"),
        (refuse_sources, {"magic": 1}, "Unknown sources: magic. Known are taste,"),
        (refuse_boosts, {"magic": 1}, "Unknown terms: magic. Known are utility,"),
        (refuse_filters, {"max_price": "cheap"}, "“max_price” needs a number"),
    ],
)
def test_rules_that_would_be_ignored_in_silence_are_refused(refuse, value: object, error: str):
    with pytest.raises(ValidationError, match=re.escape(error)):
        refuse(value)


def typed(operator: Client, page: str, **values: object) -> dict[str, object]:
    """What a browser sends back of a form, with some fields changed."""
    form = operator.get(page).context["adminform"].form
    given = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    return {**given, **values}


def test_a_placement_is_edited_without_json(operator: Client):
    placement = PlacementFactory(
        slug="own", sources={"trending": 0.3}, boosts={"freshness": 0.5}, filters={"fuels": ["electric"]}
    )
    page = reverse("admin:recommendations_placement_change", args=[placement.pk])
    assert operator.post(page, typed(operator, page)).status_code == 302
    placement.refresh_from_db()  # as it was: what nothing was typed into stays as learned, or as is usual
    assert (placement.sources, placement.boosts) == ({"trending": 0.3}, {"freshness": 0.5})
    assert placement.filters == {"fuels": ["electric"]}
    changed = {"share_exploration": "0", "boost_freshness": "", "boost_demand": "2", "always_max_price": "20000"}
    assert operator.post(page, typed(operator, page, **changed)).status_code == 302
    placement.refresh_from_db()
    assert placement.sources == {"trending": 0.3, "exploration": 0}
    assert placement.boosts == {"demand": 2}
    assert placement.filters == {"fuels": ["electric"], "max_price": 20_000}
    refused = operator.post(page, typed(operator, page, share_trending="-1"))
    assert "share_trending" in refused.context["adminform"].form.errors


def test_a_saved_search_is_edited_without_json(operator: Client):
    query = {"bodies": ["estate"], "sort": "price"}
    search = SavedSearch.objects.create(buyer=BuyerFactory(), name="Estates", query=query, filters={})
    page = reverse("admin:recommendations_savedsearch_change", args=[search.pk])
    created = {"created_at_0": "2026-05-01", "created_at_1": "10:00:00"}
    answer = operator.post(page, {**typed(operator, page), **created, "search_max_price": "9000"})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    search.refresh_from_db()
    assert search.query == {"bodies": ["estate"], "max_price": 9000, "sort": "price"}
    assert search.filters == {"bodies": ["estate"], "max_price": 9000}  # what alerts compare


NO_FORM = ("catalog.ImportRun", "django_celery_beat.PeriodicTask")  # a wizard; the arguments of a program
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.mark.parametrize(
    "model", [model for model in MODELS if model._meta.label not in NO_FORM], ids=lambda model: model._meta.label
)
def test_nothing_that_people_edit_is_json(rf, model):
    pages, request = admin.site._registry[model], rf.get("/")
    request.user = UserFactory.build(is_superuser=True, is_staff=True)
    for may, row in ((pages.has_add_permission(request), None), (pages.has_change_permission(request), model())):
        if may:
            shown = set(flatten_fieldsets(pages.get_fieldsets(request, row)))
            form = pages.get_form(request, row, change=row is not None)
            assert [n for n, f in form.base_fields.items() if n in shown and isinstance(f, JSONField)] == []


def test_a_buyers_answers_stand_in_words_and_there_is_one_kind_of_deletion(client: Client):
    client.force_login(UserFactory(operator=True))
    buyer = BuyerFactory(questionnaire={"use": "long_distance", "max_price": 9000, "fuels": ["diesel"]})
    page = client.get(reverse("admin:accounts_buyer_change", args=[buyer.pk])).text
    assert "use: long distance · fuels: diesel · max price: £9,000" in page
    assert "Delete buyer" not in page
    assert "Erase" in page
    assert "Unmark as bot" not in page


def test_a_viewer_reads_what_only_the_form_has_fields_for(viewer: Client):
    """Without a form such a field is empty, whatever is stored."""
    placement = PlacementFactory(
        slug="mine", sources={"taste": 7}, boosts={"freshness": 0.25}, filters={"makes": ["bmw"]}
    )
    search = SavedSearch.objects.create(buyer=BuyerFactory(), name="Mine", query={"makes": ["kia"]})
    rule = MerchandisingRule.objects.create(
        name="Cheap", action="boost", strength=1, target={"makes": ["seat"]}, interest={"makes": ["fiat"]}
    )
    expected = {placement: ["taste 7", "freshness 0.25", "bmw"], search: ["kia"], rule: ["seat", "fiat"]}
    for row, words in expected.items():
        meta = row._meta
        page = viewer.get(reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])).text
        assert [word for word in words if word not in page] == []
        own = admin.site._registry[type(row)].form.declared_fields
        assert not [name for name in own if f"field-{name}" in page]
