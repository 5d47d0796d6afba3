"""The kinds of events that endpoints can ask for, declared once; the apps above name them when they publish."""

from django.db import models


class Kind(models.TextChoices):
    LISTING_PUBLISHED = "listing.published", "listing.published: a car came on sale, or back on sale"
    LISTING_SOLD = "listing.sold", "listing.sold: a car was sold"
    LISTING_ENDED = "listing.ended", "listing.ended: a car was withdrawn, or its listing expired"
    PRICE_DROPPED = "price.dropped", "price.dropped: a car on sale became cheaper"
    LISTING_MATCHED = "listing.matched", "listing.matched: new or cheaper cars match a buyer's saved searches"
    VERSION_PROMOTED = "version.promoted", "version.promoted: a ranker version went live"


TEST = "webhook.test"  # sent on request of an operator, to one endpoint, whatever it asks for
