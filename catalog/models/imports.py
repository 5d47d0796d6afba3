"""Files that are imported, the runs that read them, and what mends or undoes a run."""

from django.db import models
from django.utils import timezone

from accounts.models import User
from catalog.models.feeds import Feed
from jobs.models import Job


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
