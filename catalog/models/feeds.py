"""Suppliers whose files are fetched, or uploaded, again and again."""

from django.db import models
from django.utils import timezone

from catalog.models.sellers import Seller


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
