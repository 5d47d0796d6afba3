"""The recommender's part of the listing page: vectors, their freshness, and interested buyers."""

from datetime import timedelta
from itertools import count
from typing import Any

from django.contrib import admin
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from catalog.admin import ListingAdmin
from catalog.admin.stock import SellerAdmin
from catalog.models import Listing, Seller
from console.formats import NONE, ago, link_to, list_link, table
from recommendations.admin.buyers import vector_summary
from recommendations.admin.listing_page import ListingPage
from recommendations.listings.rows import read_listings
from recommendations.models import Interaction, MerchandisingRule, RankerVersion

NAME_LENGTH = 52  # of a rule's name, with room for a number

admin.site.unregister(Listing)


@admin.register(Listing)
class ListingWithVectorsAdmin(ListingAdmin):
    readonly_fields = [*ListingAdmin.readonly_fields, "vector_table", "interest"]
    actions_detail = ["open_demand", "pin", *ListingAdmin.actions_detail]
    fieldsets = [
        *ListingAdmin.fieldsets,
        ("Recommender", {"classes": ["tab"], "fields": ["vector_table", "interest"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(ListingPage.as_view(model_admin=self))
        return [path("<int:listing_id>/demand/", view, name="catalog_listing_demand"), *super().get_urls()]

    @action(description="Who wants it", url_path="open-demand", icon="person_search", permissions=["view"])
    def open_demand(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:catalog_listing_demand", object_id)

    @action(description="Pin to the top", url_path="pin", icon="keep", permissions=["lead"])
    def pin(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A rule that is filled in, to be previewed and saved."""
        listing = get_object_or_404(Listing, pk=object_id)
        return new_rule(f"Pin {listing.name} ({listing.pk})", action="pin", position=1, listings=listing.pk)

    def has_lead_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("recommendations.add_merchandisingrule")

    @display(description="Vectors")
    def vector_table(self, listing: Listing) -> str | SafeString:
        """One line per space. A vector is out of date when a field it encodes was changed since."""
        stored = {vector.version_id: vector for vector in listing.vectors.all()}
        versions = RankerVersion.objects.filter(pk__in=stored) | RankerVersion.objects.usable()
        digest = int(read_listings(Listing.objects.filter(pk=listing.pk)).table.digests()[0])
        rows = [vector_row(version, stored.get(version.pk), digest) for version in versions.distinct()]
        if not rows:
            return "None yet: train a first ranker version."
        return table(["Version", "Status", "State", "Digest", "Vector"], rows)

    @display(description="Interest")
    def interest(self, listing: Listing) -> str | SafeString:
        kinds = listing.interactions.order_by().values("kind__name").annotate(n=Count("id"), last=Max("occurred_at"))
        rows = [
            [
                row["kind__name"],
                list_link(Interaction, f"{row['n']:,}", listing__id__exact=listing.pk),
                ago(row["last"]),
            ]
            for row in kinds.order_by("-n")
        ]
        return table(["What", "How often", "Last"], rows) if rows else "No events yet."


admin.site.unregister(Seller)


@admin.register(Seller)
class SellerWithRulesAdmin(SellerAdmin):
    actions_detail = ["hide_for_a_week"]

    @action(description="Hide for a week", url_path="hide", icon="visibility_off", permissions=["lead"])
    def hide_for_a_week(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A rule that is filled in, to be previewed and saved."""
        seller = get_object_or_404(Seller, pk=object_id)
        ends = timezone.localtime(timezone.now() + timedelta(days=7)).replace(second=0, microsecond=0)
        return new_rule(
            f"Hide {seller.name} until {ends:%-d %b}", action="hide", sellers=seller.pk, ends_at=ends.isoformat()
        )

    def has_lead_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("recommendations.add_merchandisingrule")


def new_rule(name: str, **values: str | int) -> HttpResponse:
    """The form of a new rule that is on, with some of its fields filled in; another of that name gets a number."""
    given = {"name": unused_name(name), "is_active": 1, **values}
    return redirect(f"{reverse('admin:recommendations_merchandisingrule_add')}?{urlencode(given)}")


def unused_name(name: str) -> str:
    known = set(MerchandisingRule.objects.filter(name__startswith=name[:NAME_LENGTH]).values_list("name", flat=True))
    numbered = (f"{name[:NAME_LENGTH]}{f' {number}' if number > 1 else ''}" for number in count(1))
    return next(one for one in numbered if one not in known)


def vector_row(version: RankerVersion, vector: Any, digest: int) -> list[Any]:
    state = "missing" if vector is None else "up to date" if vector.digest == digest else "out of date"
    shown = NONE if vector is None else vector_summary(vector.vector)
    short = (
        NONE
        if vector is None
        else format_html('<code class="fc-code fc-number">{}</code>', f"{vector.digest & 0xFFFFFFFF:08x}")
    )
    return [link_to(version), version.get_status_display(), state, short, shown]
