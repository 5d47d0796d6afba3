"""Moderation of the stock: lists, filters, and actions that call the services row by row."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
    RangeNumericFilter,
)
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget

from catalog.admin.attribute_fields import form_field_of, in_words_only
from catalog.admin.filters import ImportedFilter, QualityFilter
from catalog.admin.market_filters import MarketRangeFilter
from catalog.attributes import ADDRESSES, ATTRIBUTES, CATEGORIES, RANGES, columns_of
from catalog.exceptions import CatalogRefusal
from catalog.export import HEADINGS, exported_rows
from catalog.models import CarModel, Listing, ListingChange, ListingNews, Make, PriceChange, Seller, SellerKey
from catalog.quality import copies_among
from catalog.querysets import ListingQuerySet
from catalog.services import (
    STATUSES_BEFORE,
    change_price,
    mark_sold,
    publish_listing,
    relist_listing,
    reserve_listing,
    withdraw_listing,
)
from catalog.text_search import beginnings_query, storable
from catalog.units import distance, money
from console.actions import ROWS_PER_ACTION, change_each
from console.auditing import record
from console.formats import NONE, badge, list_link, span
from console.pages import ConsoleAdmin, ReadOnlyAdmin, dialog, go_to
from web.tables import as_csv

LABELS = {category.column: category.label for category in CATEGORIES}
WORDS_SEARCHED = 20  # of a search; each is one more condition
STATUS_LABELS = {
    "draft": "",
    "live": "success",
    "reserved": "warning",
    "sold": "info",
    "withdrawn": "danger",
    "expired": "danger",
}


def in_pairs(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Field names in rows of two, for a fieldset."""
    return [tuple(names[at : at + 2]) for at in range(0, len(names), 2)]


def count_of(related: type[Model], field: str, **filters: Any) -> Coalesce:
    """How many related rows each row has. A subquery, so that only the rows of the page are counted.

    Rows are counted, not keys: an index alone can then answer, ten times faster at a million rows.
    """
    rows = related._default_manager.filter(**{field: OuterRef("pk")}, **filters).order_by().values(field)
    return Coalesce(Subquery(rows.annotate(n=Count("*")).values("n")), 0)


# --- Makes, models, sellers ------------------------------------------------------------------------------------------
@admin.register(Make)
class MakeAdmin(ConsoleAdmin):
    empty_help = "Makes come with the listings of a file or a feed."
    list_display = ["name", "slug", "models_known", "live_listings"]
    ordering = ["name"]
    search_fields = ["name__begins_word", "slug__begins_word"]
    search_help_text = "Words of the name, in any order"
    prepopulated_fields = {"slug": ["name"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Make]:
        makes: QuerySet[Make] = super().get_queryset(request)
        return makes.annotate(n_models=count_of(CarModel, "make"), n_live=count_of(Listing, "make", status="live"))

    @display(description="Models", ordering="n_models")
    def models_known(self, make: Any) -> SafeString:
        return list_link(CarModel, f"{make.n_models:,}", make__id__exact=make.pk)

    @display(description="For sale", ordering="n_live")
    def live_listings(self, make: Any) -> SafeString:
        return list_link(Listing, f"{make.n_live:,}", make__id__exact=make.pk, status__exact="live")


@admin.register(CarModel)
class CarModelAdmin(ConsoleAdmin):
    empty_help = "Models come with the listings of a file or a feed."
    list_display = ["name", "make", "slug", "live_listings"]
    list_filter = [("make", AutocompleteSelectFilter)]
    list_select_related = ["make"]
    ordering = ["make__name", "name"]
    search_fields = ["name__begins_word", "make__name__begins_word"]
    search_help_text = "Words of the model or its make, in any order"
    autocomplete_fields = ["make"]
    prepopulated_fields = {"slug": ["name"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[CarModel]:
        rows: QuerySet[CarModel] = super().get_queryset(request)
        return rows.annotate(n_live=count_of(Listing, "car_model", status="live"))

    @display(description="For sale", ordering="n_live")
    def live_listings(self, model: Any) -> SafeString:
        return list_link(Listing, f"{model.n_live:,}", car_model__id__exact=model.pk, status__exact="live")


class ReadOnlyInline(TabularInline):
    extra = 0
    can_delete = False
    tab = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SellerKeyInline(ReadOnlyInline):
    """What imports know a seller by. A key that joined two dealers can be taken away; the next file finds them anew."""

    model = SellerKey
    fields = readonly_fields = ["key"]
    can_delete = True
    verbose_name_plural = "keys"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perms(["catalog.view_seller"]) or self.has_delete_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perms(["catalog.change_seller"])


@admin.register(Seller)
class SellerAdmin(ConsoleAdmin):
    empty_help = "Sellers come with the listings of a file or a feed."
    inlines = [SellerKeyInline]
    list_display = ["name", "kind", "place", "live_listings", "user"]
    list_filter = [("kind", ChoicesDropdownFilter)]
    list_select_related = ["user"]
    search_fields = ["name__begins_word", "place__begins_word", "external_id__exact"]
    search_help_text = "Words of the name or the place, in any order; or the external id"
    autocomplete_fields = ["user"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Seller]:
        rows: QuerySet[Seller] = super().get_queryset(request)
        return rows.annotate(n_live=count_of(Listing, "seller", status="live"))

    @display(description="For sale", ordering="n_live")
    def live_listings(self, seller: Any) -> SafeString:
        return list_link(Listing, f"{seller.n_live:,}", seller__id__exact=seller.pk, status__exact="live")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj else []  # a new one has no keys yet

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: Any) -> None:
        super().save_formset(request, form, formset, change)
        if gone := ", ".join(map(str, formset.deleted_objects)):
            record(by=request.user, action="changed", target=form.instance, note=f"Not known by {gone} any more")


# --- Listings --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class StatusChange:
    """A change of a listing's status: as a button, as what was done, and by which service and step of it."""

    label: str
    done: str
    service: Callable[..., object]
    step: str


STATUS_CHANGES = {
    "sell": StatusChange("Mark as sold", "marked as sold", mark_sold, "marked as sold"),
    "reserve": StatusChange("Reserve", "reserved", reserve_listing, "reserved"),
    "withdraw": StatusChange("Withdraw", "withdrawn", withdraw_listing, "withdrawn"),
    "publish": StatusChange("Publish", "published", publish_listing, "published"),
    "relist": StatusChange("Put back on sale", "put back on sale", relist_listing, "relisted"),
}


def status_action(name: str) -> Callable[..., None]:
    """The list action that changes the status of each selected listing through its service."""
    change = STATUS_CHANGES[name]

    @admin.action(description=change.label, permissions=["change"])
    def change_status(model_admin: Any, request: HttpRequest, queryset: QuerySet[Listing]) -> None:
        change_each(
            model_admin, request, queryset, lambda row: change.service(listing=row), done=change.done,
            refusals=CatalogRefusal,
        )  # fmt: skip

    change_status.__name__ = name
    return change_status


class StatusForm(BaseDialogForm):
    """Offers what can happen to a car of its status; what is sent all the same is refused in words by its service."""

    change = forms.ChoiceField(label="What happened to the car?", widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        status = None if self.is_bound else Listing.objects.filter(pk=self.object_id).values_list("status").first()
        self.fields["change"].choices = [
            (name, change.label)
            for name, change in STATUS_CHANGES.items()
            if status is None or status[0] in STATUSES_BEFORE[change.step]
        ]


class PriceChangeInline(ReadOnlyInline):
    model = PriceChange
    fields = readonly_fields = ["changed_at", "step"]
    per_page = 20
    verbose_name_plural = "price history"

    @display(description="Price")
    def step(self, change: PriceChange) -> str:
        return price_step(change)


@admin.register(Listing)
class ListingAdmin(ConsoleAdmin):
    """A listing's own facts. What the recommender makes of it is added by the app that does."""

    empty_help = "Import a file, connect a feed, or add one car by hand."
    list_display: Sequence[Any] = [
        "car",
        "shown_price",
        "year",
        "mileage",
        "fuel",
        "status_badge",
        "age",
        "shown_place",
    ]
    list_filter = [
        ("status", ChoicesDropdownFilter), ("make", AutocompleteSelectFilter), ("car_model", AutocompleteSelectFilter),
        ("seller", AutocompleteSelectFilter), ("price", RangeNumericFilter), ("year", RangeNumericFilter),
        *((number.column, MarketRangeFilter) for number in RANGES if number.kind != "month"),
        *((category.column, ChoicesDropdownFilter) for category in CATEGORIES if not category.is_open),
        ("published_at", RangeDateTimeFilter), ImportedFilter, QualityFilter,
    ]  # fmt: skip
    sortable_by = ["shown_price", "age"]  # of live cars by an index; sorting a million rows by others takes seconds
    search_fields = ["external_id"]  # shows the search box; get_search_results says how
    search_help_text = "Make, model, year, words of the text, or an id"
    autocomplete_fields = ["seller", "make", "car_model"]
    readonly_fields: list[str] = [
        "status_badge", "age", "published_at", "ended_at", "created_at", "updated_at", "fingerprint", "preview",
    ]  # fmt: skip
    fieldsets: list[Any] = [
        (
            None,
            {"fields": [("title", "seller"), ("make", "car_model"), ("price", "currency"), ("status_badge", "age")]},
        ),
        (
            "Car",
            {
                "classes": ["tab"],
                "fields": [
                    *in_pairs(("year", *columns_of(each for each in ATTRIBUTES if each not in ADDRESSES))),
                ],
            },
        ),
        ("Text", {"classes": ["tab"], "fields": ["description", "tags"]}),
        ("Photos", {"classes": ["tab"], "fields": ["preview", *columns_of(ADDRESSES)]}),
        ("Place", {"classes": ["tab"], "fields": ["place", ("latitude", "longitude")]}),
        (
            "Origin",
            {
                "classes": ["tab"],
                "fields": [
                    ("source", "external_id"), "url", "fingerprint",
                    ("published_at", "ended_at"), ("created_at", "updated_at"),
                ],
            },
        ),
    ]  # fmt: skip
    inlines = [PriceChangeInline]
    actions = [*(status_action(name) for name in STATUS_CHANGES), "keep_one"]
    actions_detail = ["change_status"]
    list_before_template = "console/listing_tools.html"

    def get_urls(self) -> list[URLPattern]:
        export = path("export/", self.admin_site.admin_view(self.export), name="catalog_listing_export")
        return [export, *super().get_urls()]

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """The listings that the list shows with the same search and filters, as a CSV file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            shown = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            messages.error(request, "Nothing was exported: a filter of that address makes no sense.")
            return redirect("admin:catalog_listing_changelist")
        return as_csv(f"listings-{timezone.localdate()}.csv", HEADINGS, exported_rows(shown))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Listing]:
        rows: ListingQuerySet = super().get_queryset(request)
        return rows.with_card_data()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Listing], search_term: str
    ) -> tuple[QuerySet[Listing], bool]:
        """Every word must be found, as the beginning of a word of the text, of the make or model, or as the year."""
        words = re.findall(r"[\w-]+", storable(search_term))[:WORDS_SEARCHED]
        for condition in (word_condition(word) for word in words):
            queryset = queryset.filter(condition)
        return queryset, False

    def get_fieldsets(self, request: HttpRequest, obj: Listing | None = None) -> Any:
        """Who may not change the numbers reads them in the market's units, as in a list."""
        fieldsets = super().get_fieldsets(request, obj)
        is_form = obj is None or self.has_change_permission(request, obj)  # who may only add has a form too
        return fieldsets if is_form else in_words_only(fieldsets)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        made = form_field_of(db_field.name) or super().formfield_for_dbfield(db_field, request, **kwargs)
        if made is not None and db_field.name in LABELS:  # as lists and filters have it: "VAT"
            made.label = LABELS[db_field.name]
        return made

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Listing | None:
        """With all its photos: rows of earlier releases have one address apart from the others."""
        listing: Listing | None = super().get_object(request, object_id, from_field)
        if listing is not None:
            listing.photos = listing.gallery
        return listing

    def save_model(self, request: HttpRequest, obj: Listing, form: Any, change: bool) -> None:
        """A new price goes through its service, which keeps the price history."""
        if "photos" in form.cleaned_data:
            obj.photo_url = next(iter(obj.photos), "")
        if not change or "price" not in form.changed_data or obj.price is None:
            super().save_model(request, obj, form, change)
            return
        price, obj.price = obj.price, form.initial["price"]
        super().save_model(request, obj, form, change)
        try:
            change_price(listing=obj, price=price)
        except CatalogRefusal as refusal:
            messages.error(request, f"The price was not changed: {refusal}")

    @action(
        description="Change status",
        url_path="change-status",
        icon="swap_horiz",
        permissions=["change"],
        dialog=dialog("Change status", "Buyers see the change at once.", "Change", StatusForm),
    )
    def change_status(self, request: HttpRequest, form: StatusForm, object_id: str) -> HttpResponse:
        change = STATUS_CHANGES[form.cleaned_data["change"]]
        rows = Listing.objects.filter(pk=object_id)
        change_each(
            self, request, rows, lambda row: change.service(listing=row), done=change.done, refusals=CatalogRefusal
        )
        return go_to(reverse("admin:catalog_listing_change", args=[object_id]))

    @admin.action(description="Keep one of each car", permissions=["change"])
    def keep_one(self, request: HttpRequest, queryset: QuerySet[Listing]) -> None:
        """Withdraw the selected advertisements of which an older one of the same car is selected too."""
        copies = copies_among(queryset[:ROWS_PER_ACTION])
        if not copies:
            messages.info(request, "No two of them are the same car, so none was withdrawn.")
            return
        change_each(
            self, request, queryset.filter(pk__in=copies), lambda row: withdraw_listing(listing=row),
            done="withdrawn, as an older advertisement of the same car stays", refusals=CatalogRefusal,
        )  # fmt: skip

    @display(description="Car", header=True)
    def car(self, listing: Listing) -> list[str]:
        return [listing.name, listing.seller.name if listing.seller else "no seller"]

    @display(description="Price", ordering="price")
    def shown_price(self, listing: Listing) -> str:
        return money(listing.price, listing.currency)

    @display(description="Mileage", ordering="mileage_km")
    def mileage(self, listing: Listing) -> str:
        return NONE if listing.mileage_km is None else distance(listing.mileage_km)

    @display(description="Status", ordering="status")
    def status_badge(self, listing: Listing) -> SafeString:
        return badge(listing.get_status_display(), STATUS_LABELS[listing.status])

    @display(description="On sale for", ordering="published_at")
    def age(self, listing: Listing) -> str:
        if listing.published_at is None:
            return "never published"
        return span((listing.ended_at or timezone.now()) - listing.published_at)

    @display(description="Place")
    def shown_place(self, listing: Listing) -> str:
        return listing.place or (listing.seller.place if listing.seller else "") or NONE

    @display(description="As buyers see them")
    def preview(self, listing: Listing) -> str | SafeString:
        return format_html_join(
            " ", '<a href="{0}" rel="noreferrer" target="_blank"><img src="{0}" alt="Photo {1}" class="fc-photo" '
            'loading="lazy" referrerpolicy="no-referrer" width="160" height="120"></a>',
            ((address, number) for number, address in enumerate(listing.gallery, start=1)),
        ) or NONE  # fmt: skip


def word_condition(word: str) -> Q:
    """Where one word of a search may be found; every alternative has an index, so that PostgreSQL can combine them."""
    found = Q(external_id=word)
    if query := beginnings_query(word):
        found |= Q(search_text=query)
    if word.isdecimal() and len(word) < 19:
        found |= Q(pk=int(word)) | (Q(year=int(word)) if len(word) == 4 else Q())
    makes = list(Make.objects.filter(name__begins_word=word).values_list("pk", flat=True))
    models = list(CarModel.objects.filter(name__begins_word=word).values_list("pk", flat=True))
    return found | Q(make_id__in=makes) | Q(car_model_id__in=models)


def price_step(change: PriceChange) -> str:
    return f"{money(change.old_price, change.currency)} → {money(change.new_price, change.currency)}"


@admin.register(PriceChange)
class PriceChangeAdmin(ReadOnlyAdmin):
    empty_help = "Each change of a listing's price stands here."
    list_display = ["listing", "step", "difference", "changed_at"]
    list_filter = [("changed_at", RangeDateTimeFilter)]
    list_select_related = ["listing__make", "listing__car_model__make"]
    fields = ["listing", "step", "difference", "changed_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PriceChange]:
        rows: QuerySet[PriceChange] = super().get_queryset(request)
        return rows.defer("listing__search_text", "listing__description")

    @display(description="Price")
    def step(self, change: PriceChange) -> str:
        return price_step(change)

    @display(description="Difference")
    def difference(self, change: PriceChange) -> SafeString:
        share = (change.new_price - change.old_price) / change.old_price if change.old_price else 0
        return badge(f"{share:+.1%}", "success" if share < 0 else "warning")


@admin.register(ListingNews)
class ListingNewsAdmin(ReadOnlyAdmin):
    """The outbox of listing news for webhooks and alerts; rows stay for seconds."""

    list_display = ["listing_id", "kind", "old_price", "new_price", "at"]
    list_display_links = None


@admin.register(ListingChange)
class ListingChangeAdmin(ReadOnlyAdmin):
    """The change log that listing indexes in memory follow; shown for diagnosis."""

    list_display = ["listing_id", "transaction_id", "changed_at"]
    list_display_links = None
