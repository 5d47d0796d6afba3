"""Answers that a caller has are not sent again, and the others are compressed for those who read that."""

import gzip

import pytest
from django.test import Client

from catalog.models import Listing
from recommendations.models import Interaction
from tests.factories import BuyerFactory, ListingFactory
from tests.recommender_site.test_closed import (
    callers,  # noqa: F401
)

pytestmark = pytest.mark.django_db
SAME_UNTIL_THEY_CHANGE = [
    "/api/v1/cars/detail/1", "/api/v1/cars/detail?external_id=A-1&source=shop", "/api/v1/cars/search",
    "/api/v1/cars/search?facets=true&brand=skoda", "/api/v1/cars/completions?q=sko", "/api/v1/listings?source=shop",
    "/api/v1/listings/1", "/api/v1/listings/by-external-id/A-1?source=shop",
]  # fmt: skip
NEVER_THE_SAME = ["/api/v1/cars/recommendations", "/api/v1/buyers/42"]


@pytest.fixture
def admin(callers):  # noqa: F811
    ListingFactory(pk=1, source="shop", external_id="A-1")
    return callers["admin"]


@pytest.mark.parametrize("path", SAME_UNTIL_THEY_CHANGE)
def test_what_the_caller_has_is_not_sent_again_until_it_changes(admin, path):
    first = admin.get(path)
    assert first.status_code == 200
    tag = {"If-None-Match": first["ETag"]}
    again = admin.get(path, headers=tag)
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    for answer in (first, again):  # kept by the caller, and by no cache on the way
        assert {"private", "no-store"} <= set(answer["Cache-Control"].split(", "))
        assert "X-Api-Key" in answer["Vary"]
    assert admin.head(path, headers=tag).status_code == 304
    assert admin.get(path, headers={"If-None-Match": '"another"'}).content == first.content
    ListingFactory(make=Listing.objects.get().make, source="shop", external_id="A-2")
    Listing.objects.filter(pk=1).update(price=1, title="Another title")
    if "completions" not in path:  # which are a minute old at most
        changed = admin.get(path, headers=tag)
        assert changed.status_code == 200
        assert changed["ETag"] != first["ETag"]


@pytest.mark.parametrize("path", NEVER_THE_SAME)
def test_what_is_made_anew_each_time_has_no_tag(admin, path):
    BuyerFactory(external_id="42")
    assert "ETag" not in admin.get(path)


def test_an_error_has_no_tag(admin):
    assert "ETag" not in admin.get("/api/v1/cars/detail/999")


def test_a_look_at_a_car_counts_though_nothing_is_sent(admin):
    path = "/api/v1/cars/detail/1?buyer=42"
    tag = admin.get(path)["ETag"]
    assert admin.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert Interaction.objects.count() == 2


@pytest.mark.parametrize("path", ["/api/v1/cars/search", "/api/v1/cars/recommendations", "/api/v1/cars/detail/1"])
def test_answers_are_compressed_for_those_who_read_that(admin, path):
    plain = admin.get(path)
    packed = admin.get(path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed["Vary"]
    if "recommendations" not in path:  # each list has an id of its own
        assert gzip.decompress(packed.content) == plain.content
        tag = packed["ETag"]
        assert admin.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": tag}).status_code == 304


def test_pages_that_go_by_cookie_are_not_compressed():
    page = Client(headers={"Accept-Encoding": "gzip"}).get("/admin/login/")
    assert page.status_code == 200
    assert "Content-Encoding" not in page
