"""Dealers and their exposure: a page and a file over any days, and the same in brief on the dashboard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget

from catalog.models import Seller
from console.dashboard.cards import CHART_OPTIONS, Panel, bars
from console.dashboard.period import Period, PeriodForm
from console.dashboard.registry import show_for_period
from console.formats import NONE, ago, link_to
from recommendations.admin.pages import RowsPage, may_see
from recommendations.insight import dealers
from recommendations.insight.dealers import Dealer, DealerQuery, Rates
from recommendations.models import CountedDay, Placement, ServedList
from web.tables import as_csv

PER_PAGE = 50
MOST_PAGES = 10_000
NO_PLACEMENT = "without a placement (searches, similar cars)"
ORDER_LABELS = {
    "shown": "Shown most", "least": "Shown least", "behind": "Exposure furthest behind stock",
    "ahead": "Exposure furthest ahead of stock", "clicked": "Clicked most", "contacted": "Contacted most",
    "cars": "Most cars", "name": "Name",
}  # fmt: skip
HEADINGS = (
    "seller", "id", "kind", "cars for sale now", "car days", "share of stock", "shown", "share of exposure",
    "exposure per stock", "clicked", "contacted",
)  # fmt: skip
PLACEMENT_HEADINGS = ("seller", "id", "placement", "shown", "clicked", "contacted")


class DealersForm(PeriodForm):
    placement = forms.TypedChoiceField(required=False, coerce=int, empty_value=None, widget=UnfoldAdminSelectWidget)
    only = forms.ChoiceField(
        label="Which", required=False, choices=[("", "All sellers"), ("unseen", "No exposure")],
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    order = forms.ChoiceField(label="Order", choices=list(ORDER_LABELS.items()), widget=UnfoldAdminSelectWidget)

    def __init__(self, asked: Mapping[str, Any]) -> None:
        super().__init__(asked)
        named = Placement.objects.order_by("name").values_list("pk", "name")
        self.fields["placement"].choices = [("", "All lists"), *named, (0, NO_PLACEMENT)]  # type: ignore[attr-defined]

    @property
    def usual(self) -> dict[str, Any]:
        return {"order": "shown"}

    @property
    def question(self) -> DealerQuery:
        cleaned = self.cleaned_data
        return DealerQuery(self.period, cleaned["placement"], cleaned["only"] == "unseen", cleaned["order"])

    def link(self, **changes: Any) -> str:
        """The query string of this form with some fields changed."""
        asked = {**{name: self.data.get(name, "") for name in self.fields}, **changes}
        return f"?{urlencode({name: value for name, value in asked.items() if value not in (None, '')})}"


class DealersPage(RowsPage):
    """``/admin/recommendations/servedlist/dealers/``."""

    title = "Dealers and exposure"
    template_name = "console/dealers.html"
    shows = (Seller, ServedList)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = DealersForm(self.request.GET.dict())
        context: dict[str, Any] = {"form": form, "counted": last_counted()}
        if form.is_valid():
            context |= self.answer(form)
        return super().get_context_data(**kwargs, **context)

    def answer(self, form: DealersForm) -> dict[str, Any]:
        question = form.question
        number = page_number(self.request.GET.get("p", ""))
        found = dealers.dealers(question, limit=PER_PAGE, offset=PER_PAGE * (number - 1))
        n_pages = max(-(-found.n // PER_PAGE), 1)
        return {
            "rows": [shown(one) for one in found.dealers],
            "n": found.n,
            "number": number,
            "n_pages": n_pages,
            "earlier": form.link(p=number - 1) if number > 1 else "",
            "later": form.link(p=number + 1) if number < n_pages and found.dealers else "",
            "csv": f"{reverse('admin:recommendations_dealers_csv')}{form.link()}",
            "placements_csv": f"{reverse('admin:recommendations_dealers_csv')}{form.link(by='placement')}",
            "unseen": form.link(only="unseen", order="cars"),
            "everyone": form.link(only="", order="shown"),
            "n_unseen": dealers.n_unseen(question) if found.n_unseen is None else found.n_unseen,
            "totals": [
                (name or NO_PLACEMENT, *rates_of(rates)) for name, rates in dealers.totals(question.period).items()
            ],
        }


def page_number(text: str) -> int:
    """The page number in a link; 1 where it is not a number."""
    return min(max(int(text), 1), MOST_PAGES) if text.isdecimal() and len(text) < 9 else 1


def last_counted() -> str:
    newest = CountedDay.objects.order_by("-day").first()
    return ago(newest.counted_at) if newest else ""


def shown(dealer: Dealer) -> dict[str, Any]:
    return {
        "seller": link_to(Seller(pk=dealer.id, name=dealer.name)),
        "cars": f"{dealer.n_live:,}",
        "stock": f"{dealer.stock_share:.2%}",
        "exposure": f"{dealer.exposure_share:.2%}",
        "ratio": "" if dealer.ratio is None else f"{dealer.ratio:.2f}",
        "is_behind": dealer.ratio is not None and dealer.ratio < 0.5,
        "rates": rates_of(dealer.rates),
    }


def rates_of(rates: Rates) -> tuple[str, str, str]:
    return (
        f"{rates.shown:,}",
        f"{rates.clicked:,} ({rates.click_rate:.1%})" if rates.shown else "0",
        f"{rates.contacted:,} ({rates.contact_rate:.2%})" if rates.shown else "0",
    )


def dealers_csv(request: HttpRequest) -> StreamingHttpResponse | HttpResponse:
    """All rows of the page as CSV; or a row for each seller and placement."""
    if not may_see(request.user, DealersPage.shows):
        return HttpResponse(status=403)
    form = DealersForm(request.GET.dict())
    if not form.is_valid():
        return HttpResponse(form.errors.as_text(), status=400, content_type="text/plain; charset=utf-8")
    period = form.period
    name = f"dealers-{period.first}-{period.last}.csv"
    if request.GET.get("by") == "placement":
        return as_csv(name.replace("dealers", "dealers-by-placement"), PLACEMENT_HEADINGS, placement_rows(period))
    return as_csv(name, HEADINGS, (csv_row(one) for one in dealers.dealers(form.question).dealers))


def csv_row(one: Dealer) -> tuple[Any, ...]:
    ratio = None if one.ratio is None else round(one.ratio, 4)
    return (
        one.name, one.external_id, one.kind, one.n_live, round(one.car_days, 2), round(one.stock_share, 6),
        one.rates.shown, round(one.exposure_share, 6), ratio, one.rates.clicked, one.rates.contacted,
    )  # fmt: skip


def placement_rows(period: Period) -> Iterator[tuple[Any, ...]]:
    for _, name, external_id, placement, *counts in dealers.by_placement(period):
        yield (name, external_id or "", placement or NO_PLACEMENT, *counts)


# --- On the dashboard ------------------------------------------------------------------------------------------------
@show_for_period(order=10)
def exposure_panels(period: Period) -> Iterator[Panel]:
    """Exposure, clicks and contacts of a period, compared with the equally long period before it."""
    by_day = dealers.trend(period)
    yield Panel(
        "Shown, clicked, contacted",
        f"Cars of sellers in the lists of {period}, beside the {period.n_days:,} days before.",
        ServedList,
        ("", "These days", "Before", "Change"),
        tuple(compared(sum_of(by_day), sum_of(dealers.trend(period.before)))) if by_day else (),
        chart=daily_bars(period, by_day) if by_day else "",
        chart_options=CHART_OPTIONS,
        empty="No list of these days showed a car of a seller. Days are counted every five minutes.",
    )
    before = dealers.totals(period.before)
    yield Panel(
        "By placement",
        f"Where on the site the lists of {period} worked; in brackets the rate of the {period.n_days:,} days before.",
        ServedList,
        ("Placement", "Shown", "Clicked", "Contacted"),
        tuple(
            (name or NO_PLACEMENT, f"{rates.shown:,}", with_before(rates, before.get(name), "click_rate"),
             with_before(rates, before.get(name), "contact_rate"))
            for name, rates in dealers.totals(period).items()
        ),
        empty="No lists in these days.",
    )  # fmt: skip


def sum_of(by_day: Mapping[date, Rates]) -> Rates:
    rows = by_day.values()
    return Rates(*(sum(getattr(one, name) for one in rows) for name in ("shown", "clicked", "contacted")))


def compared(now: Rates, before: Rates) -> Iterator[tuple[str, str, str, str]]:
    for label, name in (("Shown", "shown"), ("Clicked", "clicked"), ("Contacted", "contacted")):
        is_now, was = getattr(now, name), getattr(before, name)
        yield label, f"{is_now:,}", f"{was:,}", f"{is_now / was - 1:+.0%}" if was else NONE
    for label, name in (("Click rate", "click_rate"), ("Contact rate", "contact_rate")):
        rate, was = getattr(now, name), getattr(before, name)
        yield label, f"{rate:.2%}", f"{was:.2%}" if before.shown else NONE, f"{rate / was - 1:+.0%}" if was else NONE


def with_before(now: Rates, before: Rates | None, name: str) -> str:
    was = f" ({getattr(before, name):.2%})" if before and before.shown else ""
    return f"{getattr(now, name):.2%}{was}"


def daily_bars(period: Period, by_day: Mapping[date, Rates]) -> str:
    """Clicks and contacts by day, or by week where there are many days, as Chart.js reads it."""
    step = 1 if period.n_days <= 62 else 7 if period.n_days <= 400 else 30
    starts = [period.first + timedelta(days=n) for n in range(0, period.n_days, step)]
    sums = [
        sum_of({day: rates for day, rates in by_day.items() if start <= day < start + timedelta(days=step)})
        for start in starts
    ]
    counts = {"Clicked": [one.clicked for one in sums], "Contacted": [one.contacted for one in sums]}
    return bars([f"{start:%d %b}" for start in starts], counts)
