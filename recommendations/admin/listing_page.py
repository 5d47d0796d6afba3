"""The demand page of a listing: interested buyers, results in lists, similar cars, market price."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.models import Buyer
from catalog.models import Listing, PriceChange
from catalog.units import money
from console.charts import Column, column_chart, step_chart
from console.formats import ago, list_url
from recommendations.admin.pages import RowsPage, car_line
from recommendations.insight.exposure import DAYS, Exposure, Figures, exposure_of
from recommendations.insight.price_history import PriceHistory, price_history_of
from recommendations.insight.reverse_match import ReverseMatch, matching_buyers
from recommendations.listings.market_statistics import current_market_statistics
from recommendations.models import EventKind, Interaction, Preference, RankerVersion, ServedList
from recommendations.serving.similar import similar_listings

MATCHES_SHOWN = 20
SIMILAR_SHOWN = 8
HEADERS = ["Shown", "Opened", "Rate", "Usual", "Contacts"]


class ListingPage(RowsPage):
    """``/admin/catalog/listing/<id>/demand/``."""

    template_name = "console/listing.html"
    shows = (Listing, PriceChange, Buyer, Interaction, EventKind, ServedList, Preference, RankerVersion)

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"Demand: {self.listing}"

    @property
    def listing(self) -> Listing:
        if not hasattr(self, "_listing"):
            self._listing = get_object_or_404(Listing.objects.with_card_data(), pk=self.kwargs["listing_id"])
        return self._listing

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        listing = self.listing
        exposure, wanted, prices = exposure_of(listing.pk), matching_buyers(listing), price_history_of(listing)
        return super().get_context_data(
            **kwargs,
            listing=listing,
            listing_url=reverse("admin:catalog_listing_change", args=[listing.pk]),
            line=car_line(listing),
            cards=cards_of(listing, exposure, wanted),
            days=DAYS,
            exposure=exposure,
            position_chart=position_chart(exposure),
            source_rows=[figures_row(one) for one in exposure.sources],
            position_rows=[figures_row(one) for one in exposure.positions],
            source_headers=["Source", *HEADERS],
            position_headers=["Place", *HEADERS],
            verdict=verdict(exposure),
            wanted=wanted,
            band_chart=band_chart(wanted) if wanted else "",
            matches=wanted.matches[:MATCHES_SHOWN] if wanted else (),
            price_chart=price_chart(listing, prices),
            price_words=price_words(listing, prices),
            similar=[(item.position, car_line(item.listing)) for item in similar_listings(listing, SIMILAR_SHOWN)],
            vectors=self.model_admin.vector_table(listing),
        )


def cards_of(listing: Listing, exposure: Exposure, wanted: ReverseMatch | None) -> list[dict[str, Any]]:
    market_statistics, total = current_market_statistics(), exposure.total
    events = list_url(Interaction, listing__id__exact=listing.pk)
    at_top = sum(match.share_better <= 0.05 for match in wanted.matches) if wanted else 0
    asked = len(wanted.matches) if wanted else 0
    return [
        {"title": "Shown", "figure": f"{total.n_shown:,}", "note": f"lists of the last {DAYS} days that held it"},
        {
            "title": "Opened", "figure": f"{total.n_clicked:,}", "href": events,
            "note": f"of these lists; {total.n_expected:.1f} would be usual at its places",
        },
        {"title": "Contacts", "figure": f"{total.n_contacted:,}", "note": "of these lists that led to one"},
        {
            "title": "Leads", "figure": f"{market_statistics.leads.get(listing.pk, 0):,}", "href": events,
            "note": "buyers who made contact within two weeks, from anywhere",
        },
        {
            "title": "Demand", "figure": f"{market_statistics.demand.get(listing.pk, 0.0):.1f}",
            "note": "weighted events of two weeks, each halved after three days",
        },
        {
            "title": "Wanted by", "figure": f"{at_top:,}",
            "note": f"of the {asked:,} buyers active last hold it among their best 5 % of cars",
        },
    ]  # fmt: skip


def verdict(exposure: Exposure) -> str:
    """A sentence: whether clicks are above or below those expected at its positions."""
    total = exposure.total
    if not total.n_shown:
        return ""
    if not total.n_expected:
        return "Nothing of the newest lists was opened, so there is nothing to compare with."
    ratio = total.n_clicked / total.n_expected
    figures = f"{ratio:.1f} times what is usual at its places (95 % interval {exposure.low:.1f} to {exposure.high:.1f})"
    if exposure.low > 1:
        return f"Opened more than expected: {figures}."
    if exposure.high < 1:
        return f"Opened less than expected: {figures}. Price, photo or title may be why."
    return f"Opened about as expected: {figures}."


def position_chart(exposure: Exposure) -> SafeString:
    columns = [
        Column(
            one.label,
            one.rate,
            one.expected_rate,
            f"Place {one.label}: opened in {one.n_clicked} of {one.n_shown} lists, {one.rate:.1%}; "
            f"usual there {one.expected_rate:.1%}",
        )
        for one in exposure.positions
    ]
    return column_chart("Share of showings that were opened, by place, and what is usual there", columns, percent=True)


def figures_row(one: Figures) -> list[Any]:
    return [
        one.label or "unknown", f"{one.n_shown:,}", f"{one.n_clicked:,}", f"{one.rate:.1%}", f"{one.expected_rate:.1%}",
        f"{one.n_contacted:,}",
    ]  # fmt: skip


def band_chart(wanted: ReverseMatch) -> SafeString:
    n = max(len(wanted.matches), 1)
    columns = [
        Column(label, count / n, title=f"{count} of {n} buyers hold it in this part of the stock: {label}")
        for label, count in wanted.bands()
    ]
    return column_chart("Buyers by where the car stands among all cars for them", columns, percent=True, height=160)


def price_chart(listing: Listing, prices: PriceHistory) -> SafeString:
    def write(amount: float) -> str:
        return money(amount, listing.currency)

    rule = (prices.typical, f"such a car: {write(prices.typical)}") if prices.typical else None
    until = listing.ended_at or timezone.now()
    return step_chart("Price over time", prices.steps, until, rule=rule, write=write)


def price_words(listing: Listing, prices: PriceHistory) -> str:
    if not prices.steps:
        return "No price is known."
    now = prices.steps[-1][1]
    price_text = f"{money(now, listing.currency)} since {ago(prices.steps[-1][0])}"
    if prices.typical is None:
        return f"{price_text}; there are too few comparable cars to say what is usual."
    difference = now / prices.typical - 1
    side = (
        "about what such cars cost"
        if abs(difference) < 0.02
        else f"{abs(difference):.0%} "
        + ("above what such cars cost" if difference > 0 else "below what such cars cost")
    )
    return f"{price_text}: {side}."
