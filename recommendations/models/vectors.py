"""Data in the vector space of one version: listings, the preferences of buyers, and maps of the stock."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from pgvector.django import VectorField

from accounts.models import Buyer
from catalog.models import Listing
from jobs.models import Job
from recommendations.models.querysets import ListingVectorQuerySet
from recommendations.models.rankers import RankerVersion

VECTOR_DIMENSIONS = 128  # the width of the vector column; a system check compares it with the settings
SIMILAR_DIMENSIONS = 64  # the width of the column ``likeness``; what the engine makes (``engine.similarity``)


class ListingVector(models.Model):
    """A listing's features in the space of one ranker version.

    The table is list-partitioned by version (migration 0002), each partition with an HNSW index of its own, so
    that retiring a version drops a table. It is apart from the listing, so that a change of status never touches
    an index of vectors. There is no foreign key to the listing: dropping a partition would then lock the listings,
    and a vector without a listing does no harm, because every list is read from the listings last.
    """

    pk = models.CompositePrimaryKey("version_id", "listing_id")
    version = models.ForeignKey(RankerVersion, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    listing = models.ForeignKey(
        Listing, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="vectors"
    )
    vector = VectorField(dimensions=VECTOR_DIMENSIONS)
    digest = models.BigIntegerField(help_text="Of the encoded fields: shows whether the vector is out of date.")
    likeness = VectorField(
        dimensions=SIMILAR_DIMENSIONS, null=True,
        help_text="Where the listing lies among similar cars; empty in rows of earlier releases, until a job fills it.",
    )  # fmt: skip

    objects = ListingVectorQuerySet.as_manager()

    class Meta:
        managed = False  # Django cannot declare partitions
        db_table = "recommendations_listingvector"

    def __str__(self) -> str:
        return f"listing {self.listing_id} in v{self.version_id}"


class Preference(models.Model):
    """The preference of one buyer under one version: the posterior over the weights of the features."""

    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="preferences")
    version = models.ForeignKey(RankerVersion, on_delete=models.CASCADE, related_name="preferences")
    mean = VectorField(dimensions=VECTOR_DIMENSIONS, help_text="The preference vector.")
    covariance = models.BinaryField(help_text="Lower triangle, float32, row by row.")
    tastes = models.BinaryField(
        db_default=b"", blank=True, help_text="The several tastes of a household, packed; empty: one, the above."
    )
    profile = models.JSONField(default=dict, blank=True, help_text="The same in words and ranges.")
    # The log is ahead of this row when it holds a newer id, or more rows (ids are given before they are committed).
    last_interaction_id = models.BigIntegerField(default=0)
    n_interactions = models.PositiveIntegerField(default=0)
    basis = models.CharField(
        max_length=32, help_text="Digest of event weights, questionnaire and settings it rests on."
    )
    computed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["buyer", "version"], name="one_preference_per_space")]
        indexes = [
            # the oldest preferences of the live version, for the beat job
            models.Index(fields=["version", "computed_at"], name="preference_age"),
        ]

    def __str__(self) -> str:
        return f"preference of {self.buyer} in v{self.version_id}"


class TasteMap(Job):
    """The stock drawn in two dimensions by t-SNE, which takes too long to wait for: near cars suit the same buyers."""

    TASK = "recommendations.draw_map"

    class Method(models.TextChoices):
        TSNE = "tsne", "t-SNE"

    version = models.ForeignKey(
        RankerVersion, on_delete=models.CASCADE, null=True, blank=True, related_name="maps",
        help_text="Whose eyes the distances are seen with; the version that is live when the map is drawn.",
    )  # fmt: skip
    method = models.CharField(max_length=10, choices=Method.choices, default=Method.TSNE)
    n_points = models.PositiveIntegerField(
        "cars", default=2_000, validators=[MinValueValidator(100), MaxValueValidator(2_500)],
        help_text="How many cars for sale are drawn, from 100 to 2,500: a fair sample where there are more.",
    )  # fmt: skip
    seed = models.PositiveIntegerField(default=0, help_text="The same seed draws the same map.")
    content = models.BinaryField(default=b"", blank=True, help_text="Listing ids and their places, packed.")

    def __str__(self) -> str:
        return f"map {self.pk} ({self.get_status_display()})"
