"""The form of the buyer lab. It is sent by GET, so that every state of the page has a link."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import Buyer
from catalog import units
from catalog.admin.market_fields import MarketField
from catalog.filters import ListingFilters
from catalog.models import Listing, Make
from recommendations.events.log import SEARCH
from recommendations.insight.what_if import HypotheticalEvent, WhatIf
from recommendations.models import EventKind, Placement, RankerVersion

N_HYPOTHETICAL = 4
LONGEST_LIST = 100
SOURCES = [("hybrid", "Everything"), ("content", "What cars are"), ("collaborative", "What others do")]
ONE_OF = {"make": "makes", "body": "bodies", "fuel": "fuels"}  # field -> filter
RANGES = ("min_price", "max_price", "min_year", "max_year", "max_mileage")
ANY = ("", "Any")
PLACE = ("latitude", "longitude", "radius")
STORED_AS = {"max_mileage": "max_mileage_km", "radius": "radius_km"}  # field, which is in the market's unit -> filter


class DateTimeInput(UnfoldAdminTextInputWidget):
    """A ``datetime-local`` input."""

    input_type = "datetime-local"


def number(label: Any, help_text: str = "", **kwargs: Any) -> forms.FloatField:
    widget = UnfoldAdminDecimalFieldWidget(attrs={"step": "any"})
    return forms.FloatField(label=label, help_text=help_text, required=False, widget=widget, **kwargs)


class LabForm(forms.Form):
    """All fields are optional; their defaults are those of the API."""

    version = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget, help_text="Which ranker makes the list. Left out: the live one."
    )
    placement = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget, help_text="Whose rules make the list."
    )
    k = forms.IntegerField(
        label="Cars", required=False, min_value=1, max_value=LONGEST_LIST, widget=UnfoldAdminIntegerFieldWidget,
        help_text="How many. Left out: the placement's own number.",
    )  # fmt: skip
    source = forms.ChoiceField(
        label="Pipelines", required=False, choices=SOURCES, widget=UnfoldAdminSelectWidget,
        help_text="Look at one pipeline alone.",
    )  # fmt: skip
    moment = forms.DateTimeField(
        required=False, widget=DateTimeInput, input_formats=["%Y-%m-%dT%H:%M"],
        help_text="What the buyer would have seen then: events before it, cars for sale at it. Left out: now.",
    )  # fmt: skip
    make = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget)
    body = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget, choices=[("", "Any"), *Listing.Body.choices]
    )
    fuel = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget, choices=[("", "Any"), *Listing.Fuel.choices]
    )
    min_price = number(units.priced("Price from"), min_value=0)
    max_price = number(units.priced("Price to"), min_value=0)
    min_year = number("Year from", min_value=1900)
    max_year = number("Year to", min_value=1900)
    max_mileage = MarketField(stored_unit=units.KM, label="Mileage to", is_whole=True)
    latitude = number("Latitude", min_value=-90, max_value=90)
    longitude = number("Longitude", min_value=-180, max_value=180)
    radius = MarketField(
        stored_unit=units.KM, label="Within", min_value=0.1,
        help_text="A place needs all three: latitude, longitude and radius.",
    )  # fmt: skip

    missing_car = forms.CharField(
        label="Why is this car not in the list?", required=False, max_length=200, widget=UnfoldAdminTextInputWidget,
        help_text="An id, also of a car that is sold; or words: the newest car for sale that they find.",
    )  # fmt: skip

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data if data is not None else {})
        self.fields["version"].choices = [("", "Live"), *versions()]  # type: ignore[attr-defined]
        self.fields["placement"].choices = placements()  # type: ignore[attr-defined]
        self.fields["make"].choices = [ANY, *Make.objects.values_list("slug", "name")]  # type: ignore[attr-defined]
        self.kinds = EventKind.objects.in_bulk()
        self.resolved: dict[int, str] = {}  # number of an event -> the car or search it was taken for
        for at in range(1, N_HYPOTHETICAL + 1):
            self.fields[f"kind_{at}"] = forms.ChoiceField(
                label=f"The buyer also … ({at})", required=False, widget=UnfoldAdminSelectWidget,
                choices=[("", "–"), *((slug, kind.name) for slug, kind in self.kinds.items())],
            )  # fmt: skip
            self.fields[f"car_{at}"] = forms.CharField(
                label="… this car", required=False, max_length=200, widget=UnfoldAdminTextInputWidget,
                help_text="An id, or words: the newest car for sale that they find. Of a search: its words.",
            )  # fmt: skip

    @property
    def hypothetical_rows(self) -> Iterator[tuple[Any, Any, str]]:
        for at in range(1, N_HYPOTHETICAL + 1):
            yield self[f"kind_{at}"], self[f"car_{at}"], self.resolved.get(at, "")

    @property
    def switches(self) -> list[Any]:
        return [self[name] for name in ("version", "placement", "k", "source", "moment")]

    @property
    def filter_fields(self) -> list[Any]:
        return [self[name] for name in (*ONE_OF, *RANGES, *PLACE)]

    @property
    def is_switched(self) -> bool:
        """Whether any switch or filter is set, or marked as wrong."""
        usual = {"placement": WhatIf.placement, "source": WhatIf.source}
        names = [field.name for field in (*self.switches, *self.filter_fields)]
        return any(self.data.get(name) not in (None, "", usual.get(name)) or name in self.errors for name in names)

    @property
    def has_hypothetical_events(self) -> bool:
        return any(self.data.get(f"{part}_{at}") for part in ("kind", "car") for at in range(1, N_HYPOTHETICAL + 1))

    def clean_moment(self) -> Any:
        moment = self.cleaned_data["moment"]
        if moment is None:
            return None
        if moment >= timezone.now():
            raise forms.ValidationError("This moment has yet to come; leave it out for now.")
        if moment < timezone.now() - timedelta(days=settings.WINDOW_LOOKBACK_DAYS):
            days = settings.WINDOW_LOOKBACK_DAYS
            raise forms.ValidationError(
                f"Which cars were for sale is remembered for {days} days; choose a later moment."
            )
        return moment

    def clean_missing_car(self) -> Listing | None:
        typed = self.cleaned_data["missing_car"].strip()
        listing = find_car(typed) if typed else None
        if typed and listing is None:
            raise forms.ValidationError(f"No car is found by “{typed}”: try its id, or fewer words.")
        return listing

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        given = [name for name in PLACE if cleaned.get(name) is not None]
        if given and len(given) < len(PLACE):
            missing = ", ".join(name for name in PLACE if name not in given)
            self.add_error("radius", f"A place needs latitude, longitude and radius; {missing} is missing.")
        cleaned["events"] = tuple(self._events(cleaned))
        return cleaned

    def _events(self, cleaned: dict[str, Any]) -> Iterator[HypotheticalEvent]:
        for at in range(1, N_HYPOTHETICAL + 1):
            kind, typed = cleaned.get(f"kind_{at}"), (cleaned.get(f"car_{at}") or "").strip()
            if not kind and not typed:
                continue
            if not kind or not typed:
                missing, what = (f"kind_{at}", "what the buyer did") if typed else (f"car_{at}", "a car or a search")
                self.add_error(missing, f"Say {what} too, or leave both out.")
            elif kind == SEARCH and not typed.isdigit():
                self.resolved[at] = f"a search for “{typed}”"
                yield HypotheticalEvent(kind=kind, query={"text": typed})
            elif (listing := find_car(typed)) is not None:
                self.resolved[at] = str(listing)
                yield HypotheticalEvent(kind=kind, listing_id=listing.pk)
            else:
                self.add_error(f"car_{at}", f"No car is found by “{typed}”: try its id, or fewer words.")

    def question(self, buyer: Buyer) -> WhatIf:
        """What the form asks of a buyer; only of a form that is valid."""
        cleaned = self.cleaned_data
        return WhatIf(
            buyer=buyer,
            k=cleaned["k"],
            filters=self.filters(),
            placement=cleaned["placement"] or WhatIf.placement,
            source=cleaned["source"] or "hybrid",
            version_id=int(cleaned["version"]) if cleaned["version"] else None,
            as_of=cleaned["moment"],
            events=cleaned["events"],
            missing_car=cleaned["missing_car"],
        )

    def filters(self) -> ListingFilters:
        cleaned = self.cleaned_data
        asked: dict[str, Any] = {many: [cleaned[one]] for one, many in ONE_OF.items() if cleaned.get(one)}
        given = {name: cleaned[name] for name in (*RANGES, *PLACE) if cleaned.get(name) is not None}
        asked |= {STORED_AS.get(name, name): value for name, value in given.items()}
        return ListingFilters.from_query(asked)


def versions() -> list[tuple[str, str]]:
    usable = RankerVersion.objects.usable().values_list("pk", "status", "created_at")
    return [(str(pk), f"v{pk}, {status}, of {created:%d %b %Y}") for pk, status, created in usable]


def placements() -> list[tuple[str, str]]:
    return list(Placement.objects.order_by("pk").values_list("slug", "name")) or [("home", "Home page")]


def find_car(typed: str) -> Listing | None:
    """The listing with this id, or the newest live one that a text search finds."""
    cars = Listing.objects.cars().with_card_data()
    if typed.isdigit():
        return cars.filter(pk=int(typed)).first() if len(typed) < 19 else None
    return cars.available().matching(ListingFilters(text=typed)).order_by("-published_at", "-pk").first()
