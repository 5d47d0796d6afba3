"""What pages beyond lists and forms share: who may see them, and how cars, searches and changes are described."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.generic import TemplateView
from unfold.views import UnfoldModelAdminViewMixin

from accounts.models import User
from catalog.models import Listing
from catalog.units import distance, money, power
from console.formats import clock, link_to, table
from recommendations.insight.previews import Preview
from recommendations.insight.what_if import Move, moves
from recommendations.serving.recommended import RecommendedList


class RowsPage(UnfoldModelAdminViewMixin, TemplateView):
    """A page that shows rows of several models, to those who may see all of them.

    ``shows`` names them. A refusal is a 403 for staff, and the login for everybody else.
    """

    shows: Sequence[type[Model]] = ()
    title = ""

    def has_permission(self) -> bool:
        return may_see(self.request.user, self.shows)


def may_see(user: User | AnonymousUser, models: Iterable[type[Model]]) -> bool:
    """Whether the user may view the rows of all of these models; a user who may change rows may view them."""
    return all(
        any(user.has_perm(f"{model._meta.app_label}.{verb}_{model._meta.model_name}") for verb in ("view", "change"))
        for model in models
    )


def car_line(listing: Listing) -> SafeString:
    """A car as one line of a table: its name, which leads to its page, and what sets it apart."""
    facts = [
        money(listing.price, listing.currency) if listing.price is not None else "",
        str(listing.year or ""),
        distance(listing.mileage_km) if listing.mileage_km is not None else "",
    ]
    return format_html(
        '{} <span class="fc-muted">{}</span>', link_to(listing, listing.name), " · ".join(filter(None, facts))
    )


def compared(before: RecommendedList, after: RecommendedList) -> dict[str, Any]:
    """Two lists for ``console/side_by_side.html``: places, cars and how far each moved, and a sentence about it."""
    moved = moves(before, after)
    by_id = {move.listing.pk: move for move in moved}
    columns = {
        name: [(item.position, car_line(item.listing), by_id[item.listing.pk]) for item in made.items]
        for name, made in (("before", before), ("after", after))
    }
    return {**columns, "summary": summary_of(moved)}


def preview_shown(preview: Preview) -> dict[str, Any]:
    """One buyer's list without a change and with it, as the pages of previews show both."""
    return {
        "buyer": preview.buyer,
        "url": reverse("admin:accounts_buyer_lab", args=[preview.buyer.pk]),
        "n_events": preview.before.recommended.n_events,
        "lists": compared(preview.before.recommended, preview.after.recommended),
    }


def summary_of(moved: Sequence[Move]) -> str:
    came = sum(move.before is None for move in moved)
    left = sum(move.after is None for move in moved)
    shifted = sum(bool(move.by) for move in moved)
    if not (came or left or shifted):
        return "The list stays as it is."
    return f"{came} came in, {left} went out, {shifted} changed places, {len(moved) - came - left - shifted} stayed."


def in_words(query: Any) -> str:
    """A search as one line: ``makes: skoda, bmw · max price: £9,000``; what is no search as it is."""
    if not isinstance(query, dict):
        return in_one_word(query)
    return " · ".join(": ".join(_asked(name, value)) for name, value in query.items())


def _asked(name: str, value: Any) -> tuple[str, str]:
    """One condition of a search, name and value; a distance or power in the market's unit instead of the stored one."""
    for ending, write in (("_km", distance), ("_kw", power)):
        if name.endswith(ending) and isinstance(value, int | float):
            return name.removesuffix(ending).replace("_", " "), write(value)
    if name.endswith("_price") and isinstance(value, int | float):
        return name.replace("_", " "), money(value)
    return name.replace("_", " "), in_one_word(value)


def in_one_word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) and abs(value) < 100_000 else str(value)


def describe_offline_test(result: Mapping[str, Any]) -> str | SafeString:
    """Return the result of an offline test: a sentence, and the figures as a table."""
    if not result.get("figures"):
        return "No buyer could be tested: none did anything new in the last days of the log."
    moment = datetime.fromisoformat(result["moment"])
    sentence = (
        f"Lists as of {clock(moment)} for {result['n_buyers']:,} of {result['n_known']:,} buyers who acted on "
        f"something new after it. The live ranker may have learned from some of that, which flatters both sides alike."
    )
    rows = [
        [
            one["name"], f"{one['before']:.4f}", f"{one['after']:.4f}",
            f"{one['difference']:+.4f} ({one['low']:+.4f} to {one['high']:+.4f})", one["verdict"],
        ]
        for one in result["figures"]
    ]  # fmt: skip
    headers = ["Figure", "Now", "Then", "Difference, 95 % interval", "Verdict"]
    return format_html("<p>{}</p>{}", sentence, table(headers, rows))
