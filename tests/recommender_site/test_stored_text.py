"""What came in by any route, and was taken, breaks nothing that reads it later: lists, batches, pages, files."""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import Buyer
from accounts.services import create_api_key
from catalog.models import Listing
from catalog.quality import queue_report, run_report
from recommendations.buyers.refresh import refresh_stale_preferences, renew_preferences
from recommendations.listings.embedding import embed_missing_listings
from recommendations.training.runs import run_training, start_training
from tests.described_fields import all_fields, send
from tests.factories import PlacementFactory
from tests.markets import make_market

pytestmark = pytest.mark.django_db
HOSTILE = ["-" * 40, "=1+1\u202e\n%_\\ {{7}} <b>'\"</b> -- 😀 ٣ ²"]
STORE_NOTHING = ("/infer", "/batch", "/api/v1/token")
SOME = 3  # rows of which everything that reads them is asked


@pytest.fixture
def marketplace(settings) -> Client:
    settings.DEMO_MODE, settings.SERVED_LIST_THREAD = True, False
    key = create_api_key(name="a client", scopes=["admin"], created_by=None)[1]
    return Client(headers={"X-Api-Key": key})


def test_what_was_taken_is_read_by_everything(marketplace, operator):
    make_market(4)
    PlacementFactory()
    store_hostile_text(marketplace)
    assert Buyer.objects.filter(external_id__in=HOSTILE).exists()
    assert Listing.objects.filter(external_id__in=HOSTILE).exists()

    version = run_training(run_id=start_training(parameters={"prior_buyers": 20}).pk)
    embed_missing_listings()
    refresh_stale_preferences()
    renew_preferences(version_id=version.pk)
    run_report(report_id=queue_report().pk)

    for buyer in Buyer.objects.filter(external_id__isnull=False).order_by("-pk")[:SOME]:
        for path in ("cars/recommendations", "users/me/export", "users/me/preferences"):
            assert marketplace.get(f"/api/v1/{path}", {"buyer": buyer.external_id}).status_code == 200, buyer
        assert operator.get(f"/admin/accounts/buyer/{buyer.pk}/lab/").status_code == 200, buyer
    for listing in Listing.objects.cars().order_by("-pk")[:SOME]:
        for path in (f"/api/v1/cars/{listing.pk}/similar", f"/shop/cars/{listing.pk}/"):
            assert marketplace.get(path).status_code in (200, 404), path
        assert operator.get(f"/admin/catalog/listing/{listing.pk}/change/").status_code == 200, listing
    for path in every_list():
        assert operator.get(path).status_code == 200, path
    for text in HOSTILE:
        for path in ("/api/v1/cars/search", "/api/v1/cars/completions", "/shop/", "/admin/catalog/listing/"):
            assert operator.get(path, {"q": text}).status_code == 200, (path, text)


def store_hostile_text(client: Client) -> None:
    storing = [field for field in all_fields() if field.method != "get" and not field.route.startswith(STORE_NOTHING)]
    for number, field in enumerate(storing):
        assert send(client, field, HOSTILE[number % len(HOSTILE)]).status_code < 500, str(field)


def every_list() -> Iterator[str]:
    for model in admin.site._registry:
        yield reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
