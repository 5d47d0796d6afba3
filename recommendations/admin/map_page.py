"""The page of the taste map: a GET form, the map, and its content as tables."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.models import Buyer
from catalog.models import Listing
from catalog.units import money
from console.formats import NONE, ago, list_url, page_of
from console.scatter import Arrow, Dot, Pin, scatter, swatch
from recommendations.admin.pages import RowsPage, car_line, may_see
from recommendations.exceptions import RankerRefused
from recommendations.insight.map_labels import COLOURS, MAKE, TASTE, Area, Compass
from recommendations.insight.taste_map import Picture, picture
from recommendations.models import Interaction, Preference, RankerVersion, TasteMap

AXES = ""  # of the field "map": the axes of the stock as it is now, rather than a stored map
MAPS_OFFERED = 10
BUYERS_OFFERED = 5
LONGEST_NUMBER = 19  # digits; what has as many may not fit a key


class MapForm(forms.Form):
    """The map, its colours and a buyer; all fields are optional."""

    map = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget,
        help_text="Axes keep directions and distances; t-SNE keeps neighbours together.",
    )  # fmt: skip
    colour = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget,
        choices=[("", "Make"), *((one, one.capitalize()) for one in COLOURS[1:-1]), (TASTE, "The buyer's taste")],
        help_text="By status, cars that are reserved or ended lately are drawn too.",
    )  # fmt: skip
    buyer = forms.CharField(
        required=False, max_length=200, widget=UnfoldAdminTextInputWidget,
        help_text="Number, email address or client's id: also draws the buyer's direction and list.",
    )  # fmt: skip

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        done = TasteMap.objects.filter(status=TasteMap.Status.DONE).order_by("-pk").defer("content")[:MAPS_OFFERED]
        self.maps = {str(drawn.pk): drawn for drawn in done}
        stored = [
            (key, f"t-SNE of {ago(drawn.finished_at)}, {drawn.n_points:,} cars") for key, drawn in self.maps.items()
        ]
        self.fields["map"].choices = [(AXES, "Axes of taste, now"), *stored]  # type: ignore[attr-defined]

    def clean_map(self) -> TasteMap | None:
        return TasteMap.objects.get(pk=self.cleaned_data["map"]) if self.cleaned_data["map"] else None

    def clean_buyer(self) -> Buyer | None:
        typed = self.cleaned_data["buyer"].strip()
        return find_buyer(typed) if typed else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("colour") == TASTE and not cleaned.get("buyer") and "buyer" not in self.errors:
            self.add_error("buyer", "Name the buyer whose taste colours the map.")
        return cleaned


def find_buyer(typed: str) -> Buyer:
    """The buyer with a number, email address, client's id or visitor key: looked for one by one, each by its index."""
    queries: list[dict[str, Any]] = [{"user__email": typed}, {"external_id": typed}, {"visitor_key": typed}]
    if typed.isdecimal() and len(typed) < LONGEST_NUMBER:
        queries.insert(0, {"pk": int(typed)})
    for query in queries:
        if found := Buyer.objects.select_related("user").filter(**query).first():
            return found
    raise forms.ValidationError(f"No buyer is called “{typed}”.")


class TasteMapPage(RowsPage):
    """``/admin/recommendations/tastemap/map/``; nothing on it is stored."""

    template_name = "console/taste_map.html"
    title = "Taste map"
    shows = (TasteMap, Listing, RankerVersion)

    def has_permission(self) -> bool:
        about_a_buyer = (Buyer, Preference, Interaction) if self.request.GET.get("buyer") else ()
        return may_see(self.request.user, (*self.shows, *about_a_buyer))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = MapForm(self.request.GET)
        context: dict[str, Any] = {
            "form": form,
            "is_asked": bool(self.request.GET),
            "may_draw": self.request.user.has_perm("recommendations.add_tastemap"),
            "draw_url": reverse("admin:recommendations_tastemap_add"),
            "unfinished": TasteMap.objects.unfinished().defer("content").first(),
        }
        if form.is_valid():
            try:
                context |= map_context(form, self.request)
            except RankerRefused as refusal:
                context |= {"refusal": str(refusal), "trainings_url": list_url(RankerVersion)}
        return super().get_context_data(**kwargs, **context)


def map_context(form: MapForm, request: HttpRequest) -> dict[str, Any]:
    """Everything the page says about the map."""
    asked = form.cleaned_data
    buyer, colour = asked["buyer"], asked["colour"] or MAKE
    found = picture(colour=colour, drawn=asked["map"], buyer=buyer)
    only = request.GET.get("only", "")
    highlighted = next((number for number, group in enumerate(found.groups) if group.label == only), None)
    return {
        "picture": found,
        "buyer": buyer,
        "buyer_url": page_of(buyer) if buyer else "",
        "buyers": [] if buyer else lately_active(request),
        "drawn": asked["map"],
        "is_sample": found.n_stock > len(found.cars),
        "n_cars": f"{len(found.cars):,}",
        "n_stock": f"{found.n_stock:,}",
        "imports_url": reverse("admin:catalog_importrun_changelist"),
        "chart": chart(found, buyer, highlighted, colour),
        "legend": legend(found, highlighted, request),
        "areas": [area_row(area) for area in found.areas],
        "listed": list_rows(found),
        "pulls": [{"percent": round(100 * pull.share)} for pull in found.pulls],
        "axes_share": round(100 * sum(found.shares)),
    }


def lately_active(request: HttpRequest) -> list[tuple[Buyer, str]]:
    """Buyers to try: those with the newest events, each with the address of their map."""
    if not may_see(request.user, (Buyer, Preference, Interaction)):
        return []
    newest = Interaction.objects.order_by("-pk").values_list("buyer_id", flat=True)[: 40 * BUYERS_OFFERED]
    ids = list(dict.fromkeys(newest))[:BUYERS_OFFERED]
    rows = Buyer.objects.select_related("user").in_bulk(ids)
    return [(rows[key], address(request, buyer=str(key))) for key in ids if key in rows]


def address(request: HttpRequest, **changed: str) -> str:
    """This page with some of its questions changed; an empty value takes one away."""
    asked = request.GET.copy()
    for name, value in changed.items():
        asked[name] = value
    kept = {name: value for name, value in asked.items() if value}
    return reverse("admin:recommendations_tastemap_map", query=kept or None)


class CarPages:
    """Addresses of cars' pages, made of one: to reverse thousands takes longer than all the rest of the page."""

    def __init__(self) -> None:
        self._before, self._after = reverse("admin:catalog_listing_change", args=[0]).split("0")

    def __getitem__(self, listing_id: int) -> str:
        return f"{self._before}{listing_id}{self._after}"


# --- The drawing -----------------------------------------------------------------------------------------------------


def chart(found: Picture, buyer: Buyer | None, highlighted: int | None, colour: str) -> SafeString:
    pages = CarPages()
    others = frozenset(range(len(found.groups))) - {highlighted} if highlighted is not None else frozenset()
    return scatter(
        f"{len(found.cars):,} cars by taste, coloured by {colour}; the tables below say the same",
        [
            Dot(car.x, car.y, car.group, " · ".join(filter(None, (car.name, car.facts))), pages[car.listing_id])
            for car in found.cars
        ],
        colours=colours_of(found),
        pins=pins_of(found, pages),
        arrows=arrows_of(found, buyer),
        sides=found.sides,
        dimmed=others,
    )  # fmt: skip


def pins_of(found: Picture, pages: CarPages) -> list[Pin]:
    """The buyer's list by number; on a map without directions, its middle too."""
    pins = [
        Pin(
            one.x,
            one.y,
            str(one.item.position),
            f"Position {one.item.position} of their list: {one.item.listing.name}",
            pages[one.item.listing.pk],
        )
        for one in found.listed
    ]
    if found.list_centre and not found.shares:
        pins.append(Pin(*found.list_centre, "+", "The middle of their list"))
    return pins


def colours_of(found: Picture) -> list[str]:
    """A CSS class for each group: bands lead from one colour to another, names have one each."""
    shades = "fc-b" if found.is_ordered else "fc-c"
    return ["fc-rest" if group.is_rest else f"{shades}{number}" for number, group in enumerate(found.groups)]


def arrows_of(found: Picture, buyer: Buyer | None) -> list[Arrow]:
    x, y = found.centre
    several = len(found.pulls) > 1
    return [
        Arrow(
            x, y, pull.x, pull.y, f"taste {number}" if several else "more to their taste",
            f"{buyer} likes cars better that way; it explains {pull.share:.0%} of what they like",
        )
        for number, pull in enumerate(found.pulls, start=1)
    ]  # fmt: skip


def legend(found: Picture, highlighted: int | None, request: HttpRequest) -> list[dict[str, Any]]:
    """The groups with their marks and sizes; each is a link that makes it stand out, or all of them again."""
    colours = colours_of(found)
    return [
        {
            "swatch": swatch(number, colours[number]),
            "group": group,
            "n": f"{group.n:,}",
            "share": round(100 * group.n / max(len(found.cars), 1)),
            "is_on": number == highlighted,
            "url": address(request, only="" if number == highlighted else group.label),
        }
        for number, group in enumerate(found.groups)
        if group.n
    ]


# --- The same in words -----------------------------------------------------------------------------------------------


def area_row(area: Area) -> dict[str, Any]:
    return {
        "area": area,
        "n": f"{area.n:,}",
        "makes": in_shares(area.makes, area.n),
        "bodies": in_shares(area.bodies, area.n),
        "price": money(area.median_price),
        "typical": area.typical.name,
        "url": CarPages()[area.typical.listing_id],
    }


def in_shares(counts: list[tuple[str, int]], n: int) -> str:
    return ", ".join(f"{name} {count / n:.0%}" for name, count in counts) or NONE


def list_rows(found: Picture) -> list[dict[str, Any]]:
    if not found.listed:
        return []
    compass = Compass(found.cars)
    return [
        {
            "item": one.item,
            "car": car_line(one.item.listing),
            "where": compass.name(one.x, one.y),
            "is_drawn": one.is_drawn,
        }
        for one in found.listed
    ]
