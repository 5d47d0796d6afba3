"""What the feed of likes and recommendations has learned last."""

from django.contrib import admin

from console.pages import ReadOnlyAdmin
from recommendations.models import FeedFit


@admin.register(FeedFit)
class FeedFitAdmin(ReadOnlyAdmin):
    """One row, replaced by each fit; its arrays are of no use to a person."""

    list_display = ["number", "fitted_at", "seconds", "n_shown", "n_actions"]
    fields = ["number", "fitted_at", "seconds", "n_shown", "n_actions"]
