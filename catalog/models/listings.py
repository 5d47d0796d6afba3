"""Cars for sale, and their price histories.

Most attributes of a listing may be missing, because real advertisements are incomplete.
"""

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_noop

from catalog.columns import CHOICES, attribute_columns
from catalog.folding import folded, words_of
from catalog.models.makes import CarModel, Make
from catalog.models.sellers import Seller
from catalog.querysets import ListingQuerySet

IS_LIVE = models.Q(status="live")


class CarKey(models.Func):
    """Which car a listing advertises, whatever way it came in: by its VIN, else by its odometer, else word for word.

    A reading that is not rounded, neither in kilometres nor in miles, belongs to one car among those of its model,
    year, fuel and gearbox: 98.5 % of the adverts of a UK file have one price for it, and of the others many are one car
    at two prices. It comes before the words, since only files without ids are known by these: the same car in a file
    with ids, in a feed or from the API would be another. Everything else may be two cars, and stays two.
    """

    template = (
        "CASE WHEN length(vin) = 17 THEN 'v' || vin "
        "WHEN car_model_id IS NOT NULL AND year IS NOT NULL AND mileage_km >= 1000 AND mod(mileage_km, 50) <> 0 "
        "AND mod(round(mileage_km / 1.609344)::integer, 50) <> 0 "
        "THEN 'o' || car_model_id::text || '/' || year::text || '/' || mileage_km::text || '/' || fuel || '/' "
        "|| gearbox WHEN fingerprint <> '' THEN 'f' || fingerprint ELSE '' END"
    )
    arity = 0
    output_field = models.CharField(max_length=80)


class Listing(models.Model):
    """One car for sale. It is unique, and it sells once."""

    class Status(models.TextChoices):
        DRAFT = "draft", gettext_noop("Draft")
        LIVE = "live", gettext_noop("Live")
        RESERVED = "reserved", gettext_noop("Reserved")
        SOLD = "sold", gettext_noop("Sold")
        WITHDRAWN = "withdrawn", gettext_noop("Withdrawn")
        EXPIRED = "expired", gettext_noop("Expired")

    Fuel, Gearbox, Body, Drive, Condition, Damage = (
        CHOICES[name] for name in ("fuel", "gearbox", "body", "drive", "condition", "damage")
    )

    source = models.CharField(
        max_length=80, blank=True, help_text="Which system or file it came from; ids are unique within a source."
    )
    external_id = models.CharField(
        max_length=255, null=True, blank=True, help_text="The id the source knows this car by."
    )
    fingerprint = models.CharField(
        max_length=32, blank=True, editable=False, help_text="Stands in for an id where the source has none."
    )
    vin = models.CharField(
        max_length=17,
        blank=True,
        editable=False,
        default="",
        db_default="",
        help_text="Vehicle identification number, if known.",
    )
    car_key = models.GeneratedField(
        expression=CarKey(), output_field=models.CharField(max_length=80), db_persist=True,
        help_text="The same for every advertisement of one car; empty where that cannot be known.",
    )  # fmt: skip
    seller = models.ForeignKey(Seller, on_delete=models.SET_NULL, null=True, blank=True, related_name="listings")
    make = models.ForeignKey(Make, on_delete=models.PROTECT, null=True, blank=True, related_name="listings")
    car_model = models.ForeignKey(
        CarModel, on_delete=models.PROTECT, null=True, blank=True, related_name="listings", verbose_name="model"
    )
    title = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    tags = ArrayField(models.CharField(max_length=80), default=list, blank=True)

    year = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Year of first registration.")
    price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, default=settings.MARKET_CURRENCY)
    # A column for each of ``catalog.attributes``; the types are of those that code speaks of by their names.
    mileage_km: int | None
    fuel: str
    gearbox: str
    body: str
    drive: str
    colour: str
    power_kw: int | None
    engine_l: float | None
    consumption_l_100km: float | None
    annual_tax: Decimal | None
    first_registration: int | None
    condition: str
    damage: str
    posted_at: datetime | None
    photos: list[str]
    vars().update(attribute_columns())
    photo_url = models.URLField(max_length=500, blank=True, help_text="The first of the photos.")
    url = models.URLField(
        max_length=1000, blank=True, default="", db_default="", help_text="The page of the advertisement."
    )
    place = models.CharField(max_length=120, blank=True)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    published_at = models.DateTimeField(null=True, blank=True, help_text="When buyers could first see it.")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When it stopped being for sale.")
    last_seen_at = models.DateTimeField(
        null=True, blank=True, editable=False,
        help_text="When a delivery of its source had it last; it expires so many days after that.",
    )  # fmt: skip
    missed_runs = models.PositiveSmallIntegerField(
        default=0, db_default=0, editable=False,
        help_text="Complete deliveries in a row without it. One that ended with more than none ended because of them.",
    )  # fmt: skip
    promoted_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then it may take the places a placement keeps for promoted cars."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    search_text = models.GeneratedField(
        expression=SearchVector(folded("title"), weight="A", config="simple")
        + SearchVector(folded("description"), weight="C", config="simple")
        + SearchVector(folded(words_of("tags")), weight="B", config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects = ListingQuerySet.as_manager()

    class Meta:
        ordering = ["-published_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="one_listing_per_external_id"),
            models.UniqueConstraint(
                fields=["source", "fingerprint"],
                condition=models.Q(external_id=None) & ~models.Q(fingerprint=""),
                name="one_listing_per_fingerprint",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="live") | models.Q(published_at__isnull=False),
                name="live_listing_has_publication_time",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["draft", "live", "reserved"]) | models.Q(ended_at__isnull=False),
                name="ended_listing_has_end_time",
            ),
            models.CheckConstraint(
                condition=models.Q(price__isnull=True) | models.Q(price__gte=0), name="price_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(year__isnull=True) | models.Q(year__range=(1885, 2100)), name="year_of_a_car"
            ),
            models.CheckConstraint(
                condition=(models.Q(latitude=None) & models.Q(longitude=None))
                | models.Q(latitude__range=(-90, 90), longitude__range=(-180, 180)),
                name="listing_place_on_earth",
            ),
        ]
        indexes = [
            # search with its default order: the newest live cars first
            models.Index(fields=["-published_at", "-id"], name="listing_newest_live", condition=IS_LIVE),
            # search by make (and model) among what is for sale, the commonest filter
            models.Index(fields=["make", "car_model", "price"], name="listing_live_by_make", condition=IS_LIVE),
            # search by budget
            models.Index(fields=["price", "id"], name="listing_live_by_price", condition=IS_LIVE),
            # what was for sale at a point in time: choice sets and evaluation
            models.Index(fields=["published_at", "ended_at"], name="listing_lifetime"),
            # the other advertisements of a car, relisted or of another source: shown, hidden and counted as one
            models.Index(fields=["car_key"], name="listing_one_car", condition=~models.Q(car_key="")),
            # the same in words: what may be advertised twice
            models.Index(fields=["fingerprint"], name="listing_same_car", condition=~models.Q(fingerprint="")),
            # full-text search
            GinIndex(fields=["search_text"], name="listing_search_text"),
            # tag filter
            GinIndex(fields=["tags"], name="listing_tags"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_available(self) -> bool:
        """Whether a buyer could still act on it; the twin of ``Listing.objects.available()``."""
        return self.status == self.Status.LIVE

    @property
    def gallery(self) -> list[str]:
        """Addresses of its photos, each once, the main one first; rows of earlier releases have that one alone."""
        return list(dict.fromkeys(filter(None, (self.photo_url, *self.photos))))

    @property
    def name(self) -> str:
        """What a card shows: the title, or make and model, or the bare id."""
        if self.title:
            return self.title
        return str(self.car_model or self.make or f"Listing {self.pk}")


class PriceChange(models.Model):
    """One step in a listing's price history."""

    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="price_changes")
    old_price = models.DecimalField(max_digits=12, decimal_places=2)
    new_price = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-changed_at"]
        indexes = [
            # recent price drops, a source of candidates
            models.Index(fields=["-changed_at"], name="price_change_recent"),
        ]

    def __str__(self) -> str:
        return f"Price of {timezone.localtime(self.changed_at):%d %b %Y}"
