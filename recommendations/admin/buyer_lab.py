"""The buyer lab: what is known of a buyer, the list they get and why, and how it would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.models import Buyer
from catalog.models import Listing
from catalog.units import money
from console.charts import Axis, Bar, Line, Part, TimelineMark, bar_chart, line_chart, sum_bar, timeline
from console.formats import NONE, ago, clock, link_to
from recommendations.admin.lab_form import N_HYPOTHETICAL, LabForm
from recommendations.admin.pages import RowsPage, car_line, compared, in_words
from recommendations.engine.reasons import operator_breakdown
from recommendations.exceptions import RankerRefused
from recommendations.insight.dropped import NOT_FOR_SALE, Dropped
from recommendations.insight.tastes import Curve, Leaning, Portrait, portraits_of
from recommendations.insight.timeline import PastEvent, timeline_of
from recommendations.insight.what_if import Answer, WhatIf, answer
from recommendations.models import EventKind, Interaction, Placement, Preference, RankerVersion, ServedList
from recommendations.serving.recommended import RecommendedListing

# Parts of a score as they are coloured, and the terms of each; whatever is named nowhere is "Other features".
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Price": ("price",),
    "Make and model": ("make", "model"),
    "Age and mileage": ("age", "mileage"),
    "Body, fuel, gearbox": ("body", "fuel", "gearbox", "drive"),
    "Other features": (),
    "What others do": ("similar buyers", "archetype", "demand"),
    "Advert": ("freshness", "deal", "crowding"),
    "Place and base": ("distance", "base"),
}
OTHER = "Other features"
CURVE_TITLES = {"price": "Price", "age": "Age", "mileage": "Mileage", "power": "Power"}
QUICK_EVENTS = 3


class BuyerLab(RowsPage):
    """``/admin/accounts/buyer/<id>/lab/``; a GET form, so that every question is a link. Nothing is stored."""

    template_name = "console/buyer_lab.html"
    shows = (Buyer, Listing, Interaction, EventKind, Preference, Placement, RankerVersion, ServedList)

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"Lab: {self.buyer}"

    @property
    def buyer(self) -> Buyer:
        if not hasattr(self, "_buyer"):
            buyers = self.model_admin.model._default_manager.select_related("user")
            self._buyer: Buyer = get_object_or_404(buyers, pk=self.kwargs["buyer_id"])
        return self._buyer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = LabForm(self.request.GET)
        context: dict[str, Any] = {
            "buyer": self.buyer,
            "form": form,
            "is_asked": bool(self.request.GET),
            "buyer_url": reverse("admin:accounts_buyer_change", args=[self.buyer.pk]),
        }
        if form.is_valid():
            try:
                context |= answer_context(form.question(self.buyer), form, self.request)
            except RankerRefused as refusal:
                context["refusal"] = str(refusal)
        return super().get_context_data(**kwargs, **context)


def answer_context(question: WhatIf, form: LabForm, request: HttpRequest) -> dict[str, Any]:
    """Everything the page says about the list, the taste and the history."""
    found = answer(question, with_dropped=True)
    history = timeline_of(question.buyer, question.as_of)
    interests = found.buyer_context.interests
    return {
        "answer": found,
        "asked_at": clock(question.as_of) if question.as_of else "now",
        "version": found.recommended.version_id,
        "rows": list_rows(found, request.GET, form.kinds),
        "legend": [(number, name) for number, name in enumerate(GROUPS)],
        "dropped": dropped_rows(found.dropped),
        "why_not": found.why_not,
        "why_not_car": car_line(found.why_not.listing) if found.why_not else "",
        "reasons": ", ".join(f"{n} {why}" for why, n in sorted(found.reasons.items(), key=lambda one: -one[1])),
        "side_by_side": side_by_side(question, found) if question.events else None,
        "portraits": [drawn(one, len(interests)) for one in portraits_of(found.buyer_context.ranker, interests)],
        "history": [history_row(event) for event in history],
        "history_chart": history_chart(history, question.as_of or timezone.now(), form.kinds),
        "kind_legend": kind_legend(history, form.kinds),
    }


# --- The list --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One position of the list, as the template shows it."""

    item: RecommendedListing
    car: SafeString
    rank: int | None
    bar: SafeString
    lines: list[tuple[str, float]]
    what_ifs: list[tuple[str, str]]


def list_rows(found: Answer, asked: QueryDict, kinds: Mapping[str, EventKind]) -> list[Row]:
    items = found.recommended.items
    parts = [parts_of(item.terms) for item in items]
    largest = max((reach(some) for some in parts), default=1.0)
    return [
        Row(
            item=item,
            car=car_line(item.listing),
            rank=found.ranks.get(item.listing.pk),
            bar=sum_bar(f"Score of place {item.position}: {item.score:.3f}", some, largest),
            lines=operator_breakdown(item.terms, item.score),
            what_ifs=what_ifs(item.listing, asked, kinds),
        )
        for item, some in zip(items, parts, strict=True)
    ]


def parts_of(terms: Mapping[str, float]) -> list[Part]:
    """The terms of a score summed by group; the groups add up to the score."""
    group_of = {name: group for group, names in GROUPS.items() for name in names}
    sums = dict.fromkeys(GROUPS, 0.0)
    for name, value in terms.items():
        sums[group_of.get(name, OTHER)] += value
    return [Part(group, value, number) for number, (group, value) in enumerate(sums.items()) if value]


def reach(parts: Sequence[Part]) -> float:
    """The larger of the sums of positive and negative parts: half the width of a bar."""
    return max(sum(p.value for p in parts if p.value > 0), -sum(p.value for p in parts if p.value < 0), 1e-9)


def what_ifs(listing: Listing, asked: QueryDict, kinds: Mapping[str, EventKind]) -> list[tuple[str, str]]:
    """Links to this page with one more hypothetical event on a car; none once the form is full."""
    free = next((at for at in range(1, N_HYPOTHETICAL + 1) if not asked.get(f"kind_{at}")), None)
    if free is None:
        return []
    links = []
    for kind in quick_kinds(kinds):
        more = asked.copy()
        more[f"kind_{free}"], more[f"car_{free}"] = kind.slug, str(listing.pk)
        links.append((kind.name, f"?{more.urlencode()}"))
    return links


def quick_kinds(kinds: Mapping[str, EventKind]) -> list[EventKind]:
    """The event kinds with a button: the strongest positive one, a view, and the strongest negative one."""
    ranked = sorted(kinds.values(), key=lambda kind: -kind.weight)
    some = [ranked[0], kinds.get("view"), ranked[-1]] if ranked else []
    return list(dict.fromkeys(kind for kind in some if kind))[:QUICK_EVENTS]


def dropped_rows(dropped: Sequence[Dropped]) -> list[dict[str, Any]]:
    listings = Listing.objects.with_card_data().in_bulk([one.listing_id for one in dropped])
    return [
        {"dropped": one, "car": car_line(listings[one.listing_id]), "detail": detail_of(one, listings[one.listing_id])}
        for one in dropped
        if one.listing_id in listings
    ]


def detail_of(dropped: Dropped, listing: Listing) -> str:
    if dropped.reason != NOT_FOR_SALE:
        return dropped.detail
    since = f" {ago(listing.ended_at)}" if listing.ended_at else ""
    return f"{listing.get_status_display().lower()}{since}"


def side_by_side(question: WhatIf, after: Answer) -> dict[str, Any]:
    """The list without the hypothetical events beside the list with them."""
    before = answer(WhatIf(**{**vars(question), "events": ()}))
    return compared(before.recommended, after.recommended)


# --- The taste -------------------------------------------------------------------------------------------------------


def drawn(portrait: Portrait, n_tastes: int) -> dict[str, Any]:
    return {
        "title": f"One taste of {n_tastes}, {portrait.share:.0%} of what they did" if n_tastes > 1 else "",
        "curves": [(CURVE_TITLES[curve.field], curve_chart(curve), best_of(curve)) for curve in portrait.curves],
        "bars": [
            (field.capitalize(), leaning_chart(field, some), leaning_words(some))
            for field, some in portrait.leanings.items()
            if some
        ],
        "certainties": [(one.field.capitalize(), round(100 * one.share)) for one in portrait.certainties],
    }


def curve_chart(curve: Curve) -> SafeString:
    grid = curve.grid.tolist()
    axis = replace(axis_of(curve), low=grid[0], high=grid[-1], is_log=curve.field == "price")
    line = Line("utility", curve.utility.tolist(), curve.low.tolist(), curve.high.tolist())
    title = f"Utility over {CURVE_TITLES[curve.field].lower()}, with its 95 % band"
    return line_chart(title, grid, [line], x_axis=axis, y_label="utility")


def axis_of(curve: Curve) -> Axis:
    return Axis(0, 1, unit=curve.unit, formatter=money if curve.field == "price" else None)


def best_of(curve: Curve) -> str:
    """The value with the highest utility, in words, for screen readers."""
    best = int(curve.utility.argmax())
    written = axis_of(curve).write(float(f"{curve.grid[best]:.2g}"))
    if curve.low[best] <= 0:
        return f"best at {written}, but this is not certain yet"
    return f"best at {written}, {curve.utility[best]:.1f} above the average"


def leaning_chart(field: str, leanings: Sequence[Leaning]) -> SafeString:
    bars = [Bar(one.level, one.more, one.low, one.high) for one in leanings]
    return bar_chart(f"{field.capitalize()}: liked more than others do, with 95 % intervals", bars)


def leaning_words(leanings: Sequence[Leaning]) -> str:
    sure = [f"{'likes' if one.more > 0 else 'avoids'} {one.level}" for one in leanings if one.is_sure]
    return ", ".join(sure) if sure else "nothing is sure yet"


# --- The history -----------------------------------------------------------------------------------------------------


def history_row(entry: PastEvent) -> dict[str, Any]:
    event = entry.event
    return {
        "when": clock(event.occurred_at),
        "ago": ago(event.occurred_at),
        "kind": event.kind.name,
        "what": car_line(event.listing) if event.listing else in_words(event.query) if event.query else NONE,
        "fate": entry.fate,
        "position": event.position,
        "list": link_to(event.served_list, "list") if event.served_list_id and event.served_list else NONE,
        "weight": entry.weight,
    }


def history_chart(history: Sequence[PastEvent], until: Any, kinds: Mapping[str, EventKind]) -> SafeString:
    colours = {slug: number for number, slug in enumerate(kinds)}
    stems = [
        TimelineMark(
            at=entry.event.occurred_at,
            value=entry.weight,
            colour=colours.get(entry.event.kind_id, 0),
            title=f"{entry.event.kind.name}, {clock(entry.event.occurred_at)}: {car_or_search(entry.event)}, "
            f"counts {entry.weight:+.2f}{f', {entry.fate}' if entry.fate else ''}",
            is_faded=bool(entry.fate),
        )
        for entry in history
    ]
    return timeline("What the buyer did, and what it counts today", stems, until)


def car_or_search(event: Interaction) -> str:
    return str(event.listing) if event.listing else in_words(event.query or {})


def kind_legend(history: Sequence[PastEvent], kinds: Mapping[str, EventKind]) -> list[tuple[int, str]]:
    seen = {entry.event.kind_id for entry in history}
    return [(number, kind.name) for number, (slug, kind) in enumerate(kinds.items()) if slug in seen]
