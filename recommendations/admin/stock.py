"""What the recommender makes of a listing: its vectors, whether they are up to date, and who took interest."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from catalog.admin import ListingAdmin
from catalog.models import Listing
from console.formats import NONE, ago, link_to, list_link, table
from recommendations.admin.buyers import vector_summary
from recommendations.admin.listing_page import ListingPage
from recommendations.listings.rows import read_listings
from recommendations.models import Interaction, RankerVersion

admin.site.unregister(Listing)


@admin.register(Listing)
class ListingWithVectorsAdmin(ListingAdmin):
    readonly_fields = [*ListingAdmin.readonly_fields, "vector_table", "interest"]
    actions_detail = ["open_demand", *ListingAdmin.actions_detail]
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


def vector_row(version: RankerVersion, vector: Any, digest: int) -> list[Any]:
    state = "missing" if vector is None else "up to date" if vector.digest == digest else "out of date"
    shown = NONE if vector is None else vector_summary(vector.vector)
    short = (
        NONE
        if vector is None
        else format_html('<code class="fc-code fc-number">{}</code>', f"{vector.digest & 0xFFFFFFFF:08x}")
    )
    return [link_to(version), version.get_status_display(), state, short, shown]
