"""What happened to listings is passed on once, whatever wrote it and however."""

import json

import pytest
from django.db import connection, transaction
from django.utils import timezone

from catalog import news
from catalog.imports.staging import unnoted
from catalog.models import Listing, ListingNews
from catalog.news import listings_in_the_news, pass_on_news
from catalog.services import change_price, mark_sold, publish_listing, relist_listing, withdraw_listing
from tests.factories import ListingFactory
from tests.webhooks.receivers import endpoint_at
from webhooks.kinds import Kind
from webhooks.models import Message

pytestmark = pytest.mark.django_db


@pytest.fixture
def listing():
    listing = ListingFactory(price=10_000)
    ListingNews.objects.all().delete()
    return listing


def kinds():
    return list(ListingNews.objects.order_by("pk").values_list("kind", flat=True))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda listing: mark_sold(listing=listing), ["sold"]),
        (lambda listing: withdraw_listing(listing=listing), ["ended"]),
        (lambda listing: change_price(listing=listing, price=9_000), ["price_dropped"]),
        (lambda listing: change_price(listing=listing, price=11_000), []),
        (lambda listing: listing.save(), []),
        (lambda listing: relist_listing(listing=mark_sold(listing=listing)), ["sold", "published"]),
        (lambda listing: Listing.objects.update(status="expired", ended_at=timezone.now()), ["ended"]),
        (lambda listing: Listing.objects.update(price=5, currency="USD"), []),
        (lambda listing: Listing.objects.update(price=5, status="sold", ended_at=timezone.now()), ["sold"]),
        (lambda listing: listing.delete(), []),
    ],
)
def test_a_change_is_noted_in_its_own_transaction(listing, change, expected):
    change(listing)
    assert kinds() == expected


def test_a_change_that_is_rolled_back_is_no_news(listing):
    with transaction.atomic():
        mark_sold(listing=listing)
        assert kinds() == ["sold"]
        transaction.set_rollback(True)
    assert kinds() == []


def test_a_draft_is_news_when_it_goes_on_sale_and_an_item_of_the_feed_never_is():
    draft = ListingFactory(status="draft", published_at=None)
    ListingFactory(source="items")
    assert kinds() == []
    publish_listing(listing=draft)
    assert kinds() == ["published"]


def test_that_a_listing_was_seen_again_is_no_news(listing):
    with transaction.atomic(), connection.cursor() as cursor, unnoted(cursor):
        Listing.objects.update(status="sold", ended_at=timezone.now())
    assert kinds() == []


def test_news_become_webhooks_and_leave_the_queue(listing):
    endpoint_at("https://a.example/", events=Kind.values)
    change_price(listing=listing, price=9_000)
    mark_sold(listing=listing)
    assert pass_on_news() == 2
    assert kinds() == []
    dropped, sold = [json.loads(message.body) for message in Message.objects.order_by("created_at", "pk")]
    if dropped["type"] != "price.dropped":
        dropped, sold = sold, dropped
    assert dropped["data"]["old_price"] == 10_000
    assert dropped["data"]["new_price"] == 9_000
    assert sold["type"] == "listing.sold"
    data = sold["data"]["listing"]
    assert (data["listing_id"], data["status"], data["external_id"]) == (listing.pk, "sold", listing.external_id)


def test_what_no_endpoint_asks_for_leaves_the_queue_all_the_same(listing):
    mark_sold(listing=listing)
    assert pass_on_news() == 1
    assert not Message.objects.exists()


def test_news_of_a_listing_that_is_gone_are_dropped(listing):
    endpoint_at("https://a.example/", events=Kind.values)
    mark_sold(listing=listing)
    listing.delete()
    assert pass_on_news() == 1
    assert not Message.objects.exists()


def test_news_that_could_not_be_passed_on_stay_in_the_queue(listing):
    endpoint_at("https://a.example/", events=Kind.values)
    mark_sold(listing=listing)

    def fail(**kwargs):
        raise RuntimeError

    listings_in_the_news.connect(fail)
    try:
        with pytest.raises(RuntimeError):
            pass_on_news()
    finally:
        listings_in_the_news.disconnect(fail)
    assert kinds() == ["sold"]
    assert not Message.objects.exists()


def test_many_news_are_passed_on_in_batches(monkeypatch):
    monkeypatch.setattr(news, "BATCH", 2)
    for _ in range(5):
        ListingFactory()
    assert pass_on_news() == 5
