"""The cars for sale: how many, and for how long they have been there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.db.models import Count, Q

from catalog.models import Listing
from console.dashboard.cards import DAY, Card, Panel
from console.dashboard.registry import show
from console.formats import list_url

AGE_BANDS = [
    ("under a week", 0, 7),
    ("1–4 weeks", 7, 28),
    ("4–8 weeks", 28, 56),
    ("8–12 weeks", 56, 84),
    ("older", 84, None),
]


def read_stock(now: datetime) -> dict[str, int]:
    """The live cars and how long they have been for sale, in one pass over the index of live listings."""
    bands = {f"band_{number}": Count("pk", filter=age_between(now, *band[1:])) for number, band in enumerate(AGE_BANDS)}
    day = Count("pk", filter=Q(published_at__gte=now - DAY))
    return Listing.objects.available().aggregate(n_live=Count("pk"), n_new=day, **bands)


def age_between(now: datetime, low_days: int, high_days: int | None) -> Q:
    younger = Q(published_at__lte=now - timedelta(days=low_days)) if low_days else Q()
    return younger if high_days is None else younger & Q(published_at__gt=now - timedelta(days=high_days))


def stock_card(stock: Mapping[str, int]) -> Card:
    return Card(
        "Cars for sale",
        f"{stock['n_live']:,}",
        f"{stock['n_new']:,} of them new since yesterday",
        list_url(Listing, status__exact="live"),
        Listing,
    )


def age_panel(stock: Mapping[str, int]) -> Panel:
    counts = [stock[f"band_{number}"] for number in range(len(AGE_BANDS))]
    total = max(sum(counts), 1)
    labels = [label for label, *_ in AGE_BANDS]
    return Panel(
        "Age of the stock",
        "How long the cars for sale have been online.",
        Listing,
        ("For sale since", "Cars", "Share"),
        tuple((label, f"{n:,}", f"{n / total:.0%}") for label, n in zip(labels, counts, strict=True))
        if any(counts)
        else (),
        empty="No cars are for sale.",
    )


@show(order=10)
def stock_cards(now: datetime) -> Iterator[Card]:
    yield stock_card(read_stock(now))


@show(order=30)
def stock_panels(now: datetime) -> Iterator[Panel]:
    yield age_panel(read_stock(now))
