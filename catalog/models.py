"""Cars for sale: makes, models, sellers, listings, and what changed about them.

Most attributes of a listing may be missing, because real advertisements are incomplete. Every change to a
listing is also noted in ``ListingChange`` by a database trigger (migration 0002), so that each process can keep
its copy of the stock in step, whatever wrote the change and however.
"""

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_noop

from accounts.models import User
from catalog.columns import CHOICES, attribute_columns
from catalog.folding import folded, words_of
from catalog.querysets import ListingQuerySet
from jobs.models import Job

IS_LIVE = models.Q(status="live")


class Make(models.Model):
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=80, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CarModel(models.Model):
    make = models.ForeignKey(Make, on_delete=models.CASCADE, related_name="models")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120)

    class Meta:
        ordering = ["make__name", "name"]
        verbose_name = "model"
        constraints = [models.UniqueConstraint(fields=["make", "slug"], name="one_model_of_a_name_per_make")]

    def __str__(self) -> str:
        return f"{self.make} {self.name}"


class Seller(models.Model):
    class Kind(models.TextChoices):
        DEALER = "dealer", gettext_noop("Dealer")
        PRIVATE = "private", gettext_noop("Private")

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.DEALER)
    external_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    user = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="sellers",
        help_text="The account behind the seller; no buyer is recommended a car of their own.",
    )  # fmt: skip
    place = models.CharField(max_length=120, blank=True)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class SellerKey(models.Model):
    """Another way to know a seller: the id that a second source has for them, or a key of ``imports.dealers``.

    Those begin with “=”, which no source's name does.
    """

    seller = models.ForeignKey(Seller, on_delete=models.CASCADE, related_name="keys")
    key = models.CharField(max_length=255, unique=True)

    class Meta:
        ordering = ["seller", "key"]

    def __str__(self) -> str:
        return self.key


class CarKey(models.Func):
    """Which car a listing advertises, whatever way it came in: by its VIN, else word for word, else by its odometer.

    A reading that is not rounded, neither in kilometres nor in miles, belongs to one car among those of its model,
    year, fuel and gearbox: 98.5 % of the adverts of a UK file have one price for it, and of the others many are one car
    at two prices. Everything else may be two cars, and stays two.
    """

    template = (
        "CASE WHEN length(vin) = 17 THEN 'v' || vin WHEN fingerprint <> '' THEN 'f' || fingerprint "
        "WHEN car_model_id IS NOT NULL AND year IS NOT NULL AND mileage_km >= 1000 AND mod(mileage_km, 50) <> 0 "
        "AND mod(round(mileage_km / 1.609344)::integer, 50) <> 0 "
        "THEN 'o' || car_model_id::text || '/' || year::text || '/' || mileage_km::text || '/' || fuel || '/' "
        "|| gearbox ELSE '' END"
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


class ListingChange(models.Model):
    """A line per listing written or removed, in the transaction that did it: how memory follows the database.

    Written by triggers only. ``transaction_id`` and a snapshot's xmin let a reader resume without missing a
    transaction that began early and committed late. Old lines are swept by ``tasks.maintenance``.
    """

    listing_id = models.BigIntegerField()
    transaction_id = models.BigIntegerField()
    changed_at = models.DateTimeField()

    class Meta:
        managed = True
        indexes = [
            # what changed since a snapshot
            models.Index(fields=["transaction_id"], name="listing_change_transaction"),
        ]

    def __str__(self) -> str:
        return f"listing {self.listing_id} at {self.changed_at:%H:%M:%S}"


class ListingNews(models.Model):
    """What happened to a listing that others want to hear of: a queue, which ``catalog.news`` empties.

    Written by triggers only (migration 0013), in the transaction of what happened, whatever wrote it and however.
    """

    class Kind(models.TextChoices):
        PUBLISHED = "published", "On sale, or on sale again"
        SOLD = "sold", "Sold"
        ENDED = "ended", "Withdrawn or expired"
        PRICE_DROPPED = "price_dropped", "Cheaper, while on sale"

    listing_id = models.BigIntegerField()
    kind = models.CharField(max_length=15, choices=Kind.choices)
    old_price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    new_price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        verbose_name = "news of a listing"
        verbose_name_plural = "news of listings"

    def __str__(self) -> str:
        return f"listing {self.listing_id} {self.kind}"


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


class UploadedFile(models.Model):
    """A file sent to be imported, kept in the database so that any worker can read it; swept after a while."""

    name = models.CharField(max_length=255, help_text="As the browser called it.")
    n_bytes = models.BigIntegerField("bytes", help_text="As it was sent.")
    uploaded_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True)
    uploaded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-uploaded_at"]
        indexes = [
            # what is old enough to be swept
            models.Index(fields=["uploaded_at"], name="upload_oldest"),
        ]

    def __str__(self) -> str:
        return self.name


class UploadedChunk(models.Model):
    """A piece of an uploaded file, compressed; in the order of ``number`` they are the file."""

    file = models.ForeignKey(UploadedFile, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    content = models.BinaryField(help_text="zlib")

    class Meta:
        ordering = ["file", "number"]
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="one_chunk_of_a_number_per_file")]

    def __str__(self) -> str:
        return f"piece {self.number} of file {self.file_id}"


class Feed(models.Model):
    """A supplier's profile: whose cars these are, where their files come from, how they are read, and how often.

    What is empty is left to the file, as with the options of an import.
    """

    class Origin(models.TextChoices):
        UPLOAD = "upload", "Files are uploaded"
        URL = "url", "A web address (https)"
        SFTP = "sftp", "An SFTP server"
        FOLDER = "folder", "A folder of this machine"

    class Complete(models.TextChoices):
        NO = "", "A part: what is missing stays"
        SOURCE = "source", "Every car of the source: what is missing ends"
        SELLERS = "sellers", "Every car of each seller it names: what is missing ends"

    class Vat(models.TextChoices):
        UNSAID = "", "As the file says"
        GROSS = "gross", "Prices include it"
        NET = "net", "Prices are without it"

    name = models.CharField(max_length=80, unique=True)
    is_enabled = models.BooleanField("enabled", default=True, help_text="Only then it is fetched by itself.")
    source = models.SlugField(max_length=80, help_text="Whose listing ids these are. Keep it: cars are known by it.")
    seller = models.ForeignKey(
        Seller, on_delete=models.SET_NULL, null=True, blank=True, related_name="feeds",
        help_text="The one seller of all its cars; empty where a column of the file says who sells.",
    )  # fmt: skip
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.UPLOAD)
    address = models.CharField(
        max_length=1000, blank=True,
        help_text="https://…, sftp://host/out/stock-*.csv, or file names below IMPORT_FOLDER, such as north/*.csv; of "
        "several files the newest is read.",
    )  # fmt: skip
    username = models.CharField(max_length=200, blank=True)
    sealed_password = models.BinaryField(
        default=b"", blank=True, editable=False, help_text="Encrypted with the site's key."
    )
    sealed_key = models.BinaryField(
        default=b"", blank=True, editable=False, help_text="A private key, encrypted with the site's key."
    )
    host_key = models.CharField(
        "host's key", max_length=400, blank=True,
        help_text="Of an SFTP server: the fingerprint of its key (SHA256:…). Without it nothing is sent, and the run "
        "says which one the server shows.",
    )  # fmt: skip
    every_minutes = models.PositiveIntegerField(
        default=24 * 60, help_text="How often it comes. Where files are uploaded: how often one is expected."
    )
    options = models.JSONField(
        default=dict, blank=True, editable=False, help_text="How its files are read, as an import's options."
    )
    etag = models.CharField(max_length=255, blank=True, editable=False)
    last_modified = models.CharField(max_length=255, blank=True, editable=False)
    next_run_at = models.DateTimeField(default=timezone.now, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    alert_email = models.EmailField(
        blank=True, help_text="Who is written to when it fails, shrinks, waits for a decision or stops coming."
    )
    alerted = models.CharField(max_length=200, blank=True, editable=False, help_text="The troubles last written about.")

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=models.Q(every_minutes__gte=1), name="feed_comes_sometimes")]

    def __str__(self) -> str:
        return self.name


class ImportRun(Job):
    """One reading of one file: what it brought, what it could not understand, and how far it got.

    A run of the command reads its file at once. A run of the console has an ``upload`` and is a job: it is queued, and
    when its worker dies another one goes on after the last row that was stored.
    """

    class Absence(models.TextChoices):
        NONE = "", "Not asked: the file is not said to be complete"
        COUNTED = "counted", "Counted as missing"
        WAITING = "waiting", "More are missing than usual: waits for an operator"
        CONFIRMED = "confirmed", "An operator ended them"
        KEPT = "kept", "An operator kept them"
        OVERTAKEN = "overtaken", "A later delivery decided"

    TASK = "catalog.import_file"
    # The command reads a file that only its caller has; what a feed has not fetched yet can be fetched again.
    RESUMABLE = models.Q(upload__isnull=False) | models.Q(is_fetched=True)

    file_name = models.CharField(max_length=255)
    source = models.CharField(max_length=80, blank=True, help_text="Whose ids these are; keeps two sources apart.")
    upload = models.ForeignKey(
        UploadedFile, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs",
        help_text="Where the file is kept; empty for runs of the command, and once the file was swept.",
    )  # fmt: skip
    feed = models.ForeignKey(Feed, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs")
    is_fetched = models.BooleanField(default=False, editable=False, help_text="Its file is fetched from the feed.")
    is_dry_run = models.BooleanField(default=False)
    options = models.JSONField(default=dict, blank=True, help_text="Separator, encoding and header mapping used.")
    rows_read = models.PositiveIntegerField(default=0)
    listings_created = models.PositiveIntegerField(default=0)
    listings_updated = models.PositiveIntegerField(default=0)
    listings_unchanged = models.PositiveIntegerField(default=0)
    rows_repeated = models.PositiveIntegerField(default=0, help_text="Rows that repeat an earlier row of the file.")
    rows_refused = models.PositiveIntegerField(default=0)
    seen_at = models.DateTimeField(
        null=True, editable=False, help_text="The time of the delivery, which its listings have as time last seen."
    )
    absence = models.CharField(max_length=10, choices=Absence.choices, blank=True, default="", editable=False)
    listings_missing = models.PositiveIntegerField(
        default=0, help_text="Of a complete delivery: listings on offer that it does not have."
    )
    listings_ended = models.PositiveIntegerField(default=0, help_text="Of those, the ones that ended because of it.")

    def __str__(self) -> str:
        return f"{self.file_name} ({self.get_status_display()})"


class ImportedListing(models.Model):
    """What an import did to one listing, so that it can be undone; swept after IMPORT_UNDO_DAYS.

    Written by the statements of ``staging``, a row for each listing that is new or changed.
    """

    # Both without constraints: a check per row would cost an import more than the row itself, and a listing may go.
    run = models.ForeignKey(
        ImportRun, on_delete=models.CASCADE, related_name="imported", db_constraint=False, db_index=False
    )
    listing_id = models.BigIntegerField()
    row_number = models.PositiveIntegerField()
    is_new = models.BooleanField()
    before = models.JSONField(null=True, help_text="The listing as it was, of one that was changed.")
    stored_at = models.DateTimeField(help_text="The listing's time of change as the import left it.")
    outcome = models.CharField(max_length=80, blank=True, help_text="What undoing did to it, or why it did nothing.")

    class Meta:
        ordering = ["run", "row_number"]
        indexes = [
            # what a run did, in file order: undo, and the list of its listings
            models.Index(fields=["run", "row_number"], name="imported_in_order"),
        ]

    def __str__(self) -> str:
        return f"row {self.row_number}: listing {self.listing_id}"


class BadRow(models.Model):
    """A row of a file that was refused, or of which a value was dropped: kept so that it can be mended and read again.

    Why is in the ``ImportProblem`` rows of its number. It goes once nothing about it is bad any more, and with the
    records of its import after IMPORT_UNDO_DAYS.
    """

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="bad_rows")
    row_number = models.PositiveIntegerField(help_text="1 is the first row after the header.")
    cells = models.JSONField(help_text="As the file has them, in the order of its columns.")
    edits = models.JSONField(default=dict, blank=True, help_text="Column's number -> what an operator wrote instead.")
    is_fatal = models.BooleanField(default=True, help_text="The row was refused; otherwise only a value was dropped.")
    fingerprint = models.CharField(
        max_length=64, blank=True, help_text="What its listing is known by, where the row has no id and was stored."
    )
    mend = models.ForeignKey(
        "ImportMend", on_delete=models.SET_NULL, null=True, blank=True, related_name="rows",
        help_text="The job that reads it again.",
    )  # fmt: skip

    class Meta:
        ordering = ["run", "row_number"]
        constraints = [models.UniqueConstraint(fields=["run", "row_number"], name="one_bad_row_of_a_number_per_run")]

    def __str__(self) -> str:
        return f"row {self.row_number} of run {self.run_id}"


class ImportMend(Job):
    """Bad rows of a run that are read again, after an operator corrected them or said what a word means."""

    TASK = "catalog.import_mend"

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="mends")
    n_rows = models.PositiveIntegerField("rows", default=0)
    n_mended = models.PositiveIntegerField("mended", default=0, help_text="Nothing about them is bad any more.")
    n_left = models.PositiveIntegerField("still bad", default=0)

    class Meta(Job.Meta):
        verbose_name = "mending of rows"
        verbose_name_plural = "mendings of rows"

    def __str__(self) -> str:
        return f"mending of {self.run.file_name} ({self.get_status_display()})"


class ImportedName(models.Model):
    """A make, model, seller or seller's key that came into the catalogue with an import, which undoing takes away."""

    class Kind(models.TextChoices):
        MAKE = "make", "Make"
        MODEL = "model", "Model"
        SELLER = "seller", "Seller"
        KEY = "key", "Seller's key"

    # Without constraints, as of ``ImportedListing``.
    run = models.ForeignKey(
        ImportRun, on_delete=models.CASCADE, related_name="names", db_constraint=False, db_index=False
    )
    kind = models.CharField(max_length=6, choices=Kind.choices)
    name_id = models.BigIntegerField()

    class Meta:
        ordering = ["run", "kind"]
        indexes = [
            # what a run made: undo
            models.Index(fields=["run", "kind"], name="imported_names_of_run"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name_id} of run {self.run_id}"


class ImportUndo(Job):
    """One import rollback, worked off in the background; what became of each row is on the row."""

    TASK = "catalog.import_undo"

    run = models.OneToOneField(ImportRun, on_delete=models.CASCADE, related_name="undo")
    n_removed = models.PositiveIntegerField("removed", default=0, help_text="New listings without events or edits.")
    n_withdrawn = models.PositiveIntegerField("withdrawn", default=0, help_text="New listings with events or edits.")
    n_restored = models.PositiveIntegerField("put back", default=0, help_text="Changed listings, as they were.")
    n_left = models.PositiveIntegerField("left alone", default=0, help_text="Changed again since.")

    class Meta(Job.Meta):
        verbose_name = "undone import"

    def __str__(self) -> str:
        return f"undoing of {self.run.file_name} ({self.get_status_display()})"


class QualityReport(Job):
    """What is missing, odd, double or stale in the stock, counted at one time by one pass over it."""

    TASK = "catalog.measure_quality"

    figures = models.JSONField(default=dict, blank=True, help_text="By check: how many, and some of their listings.")
    n_live = models.PositiveIntegerField("listings for sale", default=0)

    def __str__(self) -> str:
        return f"quality report {self.pk} ({self.get_status_display()})"


class ImportProblem(models.Model):
    """Why one value of one row was not understood. ``is_fatal`` says whether the row was left out for it."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="problems")
    row_number = models.PositiveIntegerField(help_text="1 is the first row after the header.")
    column = models.CharField(max_length=120, blank=True)
    value = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=255)
    is_fatal = models.BooleanField(default=True, help_text="The row was refused; otherwise only the value was dropped.")

    class Meta:
        ordering = ["run", "row_number"]
        indexes = [
            # the problems of a run, in file order
            models.Index(fields=["run", "row_number"], name="import_problem_in_order"),
        ]

    def __str__(self) -> str:
        return f"row {self.row_number}, {self.column}: {self.reason}"
