"""What pages of the recommender beyond lists and forms share: who may see them, and how a car is told in a line."""

from collections.abc import Iterable, Sequence

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.generic import TemplateView
from unfold.views import UnfoldModelAdminViewMixin

from accounts.models import User
from catalog.models import Listing
from recommender_site.admin_kit import NBSP, link_to, money


class RowsPage(UnfoldModelAdminViewMixin, TemplateView):
    """A page that shows rows of several models, to those who may see all of them.

    ``shows`` names them. A refusal is a 403 for staff, and the login for everybody else.
    """

    shows: Sequence[type[Model]] = ()
    title = ""

    def has_permission(self) -> bool:
        return may_see(self.request.user, self.shows)


def may_see(user: User | AnonymousUser, models: Iterable[type[Model]]) -> bool:
    """Whether somebody may view the rows of all of these models; who may change rows may view them."""
    return all(
        any(user.has_perm(f"{model._meta.app_label}.{verb}_{model._meta.model_name}") for verb in ("view", "change"))
        for model in models
    )


def car_line(listing: Listing) -> SafeString:
    """A car as one line of a table: its name, which leads to its page, and what sets it apart."""
    facts = [
        money(listing.price, listing.currency) if listing.price is not None else "",
        str(listing.year or ""),
        f"{listing.mileage_km:,}{NBSP}km" if listing.mileage_km is not None else "",
    ]
    return format_html(
        '{} <span class="fc-muted">{}</span>', link_to(listing, listing.name), " · ".join(filter(None, facts))
    )
