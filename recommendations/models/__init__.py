"""What happened, what was learned from it, and what was shown.

``Interaction`` is the log and the truth; ``RankerVersion``, ``ListingVector`` and ``Preference`` can be rebuilt from
it and the catalogue at any time.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from pgvector.django import VectorField

from accounts.models import Buyer, User
from catalog.filters import ListingFilters
from catalog.models import Listing
from jobs.models import Job
from recommendations.models.alerts import AlertMessage as AlertMessage
from recommendations.models.alerts import AlertSettings as AlertSettings
from recommendations.models.alerts import CarAlert as CarAlert
from recommendations.models.experiments import Experiment as Experiment
from recommendations.models.exposure import CountedDay as CountedDay
from recommendations.models.exposure import SellerDay as SellerDay
from recommendations.models.merchandising import MerchandisingChange as MerchandisingChange
from recommendations.models.merchandising import MerchandisingRule as MerchandisingRule
from recommendations.models.querysets import InteractionQuerySet, ListingVectorQuerySet, RankerVersionQuerySet
from recommendations.models.waiting import WaitingEvent as WaitingEvent

VECTOR_DIMENSIONS = 128  # the width of the vector column; a system check compares it with the settings
SIMILAR_DIMENSIONS = 64  # the width of the column ``likeness``; what the engine makes (``engine.similarity``)


class EventKind(models.Model):
    """What an event of this kind says about taste, and for how long. Edited by operators."""

    RECORDED_BY_US = frozenset({"view", "search", "like", "dislike", "hide", "contact"})  # by routes and pages of ours

    slug = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=80)
    weight = models.FloatField(
        validators=[MinValueValidator(-20), MaxValueValidator(20)],
        help_text="How strongly one such event counts, against a view's 1. Negative: a choice against. 0: ignored.",
    )
    half_life_days = models.FloatField(
        validators=[MinValueValidator(0.01), MaxValueValidator(3650)], help_text="After this long it counts half."
    )
    is_contact = models.BooleanField(
        default=False, help_text="A sign of real demand (a call, a message), counted as a lead for the car."
    )
    is_dismissal = models.BooleanField(default=False, help_text="The buyer does not want to see this very car again.")

    class Meta:
        ordering = ["-weight"]
        verbose_name = "event kind"

    def __str__(self) -> str:
        return self.name


class Attribution(models.TextChoices):
    """Whether an event came from the list that it names. The last three are kept without the list."""

    NONE = "", "Names no list"
    PENDING = "pending", "The list is not written yet"
    CHECKED = "checked", "From that list"
    UNKNOWN_LIST = "unknown_list", "There is no such list"
    OTHER_BUYER = "other_buyer", "The list of another buyer"
    OUTSIDE = "outside", "Not in that list, or not as far down"

    @classmethod
    def wrong(cls) -> tuple[Attribution, ...]:
        return cls.UNKNOWN_LIST, cls.OTHER_BUYER, cls.OUTSIDE


class Interaction(models.Model):
    """One event of one buyer. Append-only: every preference can be made again from these rows."""

    event_id = models.CharField(max_length=64, help_text="Made by the sender, so that an event sent twice counts once.")
    sender = models.CharField(
        max_length=32, default="", db_default="", blank=True,
        help_text="Whose id it is: an API key (“key:7”) or a buyer (“buyer:7”). Empty: the product's own, or recorded "
        "by a release that did not note it.",
    )  # fmt: skip
    content_digest = models.BigIntegerField(
        default=0, db_default=0, editable=False,
        help_text="Of what was sent: distinguishes an event sent again from another one under the same id. "
        "0: not known.",
    )  # fmt: skip
    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="interactions")
    kind = models.ForeignKey(EventKind, on_delete=models.PROTECT, related_name="interactions")
    listing = models.ForeignKey(
        Listing, on_delete=models.SET_NULL, null=True, blank=True, related_name="interactions",
        help_text="Empty for a search.",
    )  # fmt: skip
    query = models.JSONField(null=True, blank=True, help_text="What a search asked for.")
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    # No constraint on the list: it is logged off the hot path, so an event may arrive before it.
    served_list = models.ForeignKey(
        "ServedList",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        blank=True,
        related_name="interactions",
    )
    position = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Place in that list; 1 is the top.")
    attribution = models.CharField(
        max_length=12, choices=Attribution.choices, default="", db_default="", blank=True, editable=False,
        help_text="Whether the event came from the list it named. Empty also for events of earlier releases.",
    )  # fmt: skip

    objects = InteractionQuerySet.as_manager()

    class Meta:
        ordering = ["-occurred_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(position__isnull=True) | models.Q(position__gte=1), name="positions_start_at_one"
            ),
            # an event sent again; also finds an event by its id, or by how the id begins
            models.UniqueConstraint(
                fields=["event_id", "sender"],
                name="event_id_of_sender",
                opclasses=["varchar_pattern_ops", "varchar_ops"],
            ),
        ]
        indexes = [
            # one buyer's history, newest first; and whether the log is ahead of a preference
            models.Index(fields=["buyer", "-occurred_at"], name="interaction_of_buyer"),
            models.Index(fields=["buyer", "id"], name="interaction_log_position"),
            # recent demand per listing: trending, leads
            models.Index(fields=["-occurred_at", "kind", "listing"], name="interaction_recent"),
            # what arrived lately, for the beat job that reconciles
            models.Index(fields=["received_at"], name="interaction_received"),
            # whose list is not written yet: few, and soon none
            models.Index(
                fields=["id"], name="interaction_list_pending", condition=models.Q(attribution=Attribution.PENDING)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind_id} {self.occurred_at:%Y-%m-%d %H:%M}"


class RankerVersion(models.Model):
    """One fitted ranker and the vector space it owns. Exactly one is live."""

    class Status(models.TextChoices):
        TRAINING = "training", "Training"
        READY = "ready", "Ready"
        LIVE = "live", "Live"
        RETIRED = "retired", "Retired"
        FAILED = "failed", "Failed"

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.TRAINING)
    created_at = models.DateTimeField(default=timezone.now)
    promoted_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True, help_text="Why it was promoted, refused or rolled back.")
    promoted_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    metrics = models.JSONField(default=dict, blank=True)
    gate = models.JSONField(
        default=dict, blank=True, help_text="Whether it may go live, judged against the live version, and why."
    )
    is_reference = models.BooleanField(
        default=False,
        help_text="New versions may not fall behind it, so that small losses do not add up: the first that was live, "
        "then each that was significantly better, or that an operator put live.",
    )
    n_listings = models.PositiveIntegerField(default=0)
    n_interactions = models.PositiveIntegerField(default=0)
    n_buyers = models.PositiveIntegerField(default=0)
    last_interaction_id = models.BigIntegerField(default=0, help_text="The newest event it was trained on.")

    objects = RankerVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "ranker version"
        constraints = [
            models.UniqueConstraint(fields=["status"], condition=models.Q(status="live"), name="one_live_ranker"),
            models.UniqueConstraint(
                fields=["is_reference"], condition=models.Q(is_reference=True), name="one_reference_ranker"
            ),
        ]

    def __str__(self) -> str:
        return f"v{self.pk}"

    @property
    def failed_gate(self) -> bool:
        """Whether it was judged and found worse; a version that was never judged did not fail."""
        return self.gate.get("passed") is False


class RankerArtifact(models.Model):
    """The fitted arrays of a version, kept in the database so that every machine finds them."""

    version = models.OneToOneField(RankerVersion, on_delete=models.CASCADE, primary_key=True, related_name="artifact")
    format_version = models.PositiveSmallIntegerField()
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"artifact of v{self.version_id}"


class TrainingRun(Job):
    """One attempt to train: started, how far, and how it ended, so that a crashed run is redone, not trusted."""

    TASK = "recommendations.retrain"

    version = models.ForeignKey(RankerVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs")
    promote = models.BooleanField(default=True, help_text="Put the new version live when it is not worse.")
    parameters = models.JSONField(default=dict, blank=True)
    log = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"training {self.pk} ({self.get_status_display()})"


class Evaluation(Job):
    """One measurement of a ranker beside the baselines, on what buyers did after a moment."""

    LOG = "log"
    TASK = "recommendations.evaluate"
    RESUMABLE = models.Q(source=LOG)  # the file of another may be gone

    version = models.ForeignKey(
        RankerVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="evaluations"
    )
    source = models.CharField(max_length=200, default=LOG, help_text="“log”, or the name of a file of events.")
    parameters = models.JSONField(default=dict, blank=True)
    moment = models.DateTimeField(null=True, blank=True, help_text="Learned before it, tested after it.")
    n_events = models.PositiveIntegerField(default=0, help_text="Events tested on.")
    n_buyers = models.PositiveIntegerField(default=0, help_text="Buyers tested on.")
    n_candidates = models.PositiveIntegerField(default=0, help_text="Listings to choose from at the moment.")
    summary = models.JSONField(default=dict, blank=True, help_text="What is not a figure of one ranker: plots, notes.")

    def __str__(self) -> str:
        return f"evaluation {self.pk} ({self.get_status_display()})"


class EvaluationFigure(models.Model):
    """One figure of one ranker among some of the buyers, with its 95 % interval."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="figures")
    ranker = models.CharField(max_length=40)
    slice = models.CharField(max_length=60, default="all", help_text="Which buyers or listings: all, cold buyer …")
    metric = models.CharField(max_length=40)
    k = models.PositiveSmallIntegerField(default=0, help_text="Length of the lists; 0 where it does not matter.")
    value = models.FloatField(null=True, help_text="Empty where it cannot be measured.")
    low = models.FloatField(null=True, help_text="Lower end of the 95 % interval.")
    high = models.FloatField(null=True, help_text="Upper end of the 95 % interval.")
    n = models.PositiveIntegerField(default=0, help_text="Buyers the figure is a mean over.")

    class Meta:
        ordering = ["ranker", "slice", "metric", "k"]
        constraints = [
            models.UniqueConstraint(
                fields=["evaluation", "ranker", "slice", "metric", "k"], name="one_value_per_evaluation_figure"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric}@{self.k} of {self.ranker}"


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


class SeedRun(Job):
    """One seeding from the admin: what was asked, how far, and how it ended."""

    TASK = "catalog.seed_marketplace"

    n_listings = models.PositiveIntegerField("listings", default=10_000, validators=[MaxValueValidator(1_000_000)])
    n_buyers = models.PositiveIntegerField("buyers", default=1_000, validators=[MaxValueValidator(1_000_000)])
    n_events = models.PositiveIntegerField("events", default=100_000, validators=[MaxValueValidator(10_000_000)])
    seed = models.PositiveIntegerField(default=1, help_text="The same seed makes the same market.")

    def __str__(self) -> str:
        return f"seeding {self.pk} ({self.get_status_display()})"


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
    """What one version believes of one buyer's taste: the posterior over the weights of the features."""

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


class Placement(models.Model):
    """One spot on the site that shows a list, and the rules of that list."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    k = models.PositiveSmallIntegerField(default=20, validators=[MinValueValidator(1), MaxValueValidator(1000)])
    sources = models.JSONField(default=dict, blank=True, help_text="Source and its share of the candidates.")
    filters = models.JSONField(default=dict, blank=True, help_text="Filters that always apply here.")
    boosts = models.JSONField(default=dict, blank=True, help_text="Term and its weight in the score.")
    diversity = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="0: by score alone; 1: by difference alone.",
    )
    max_per_model = models.PositiveSmallIntegerField(default=8, help_text="Of one list, 0 for no cap.")
    max_per_seller = models.PositiveSmallIntegerField(default=10, help_text="Of one list, 0 for no cap.")
    exploration_positions = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0), MaxValueValidator(1000)],
        help_text="Positions of each list for cars that may suit, to learn whether they do; 0.5 is one in two "
        "lists on average. The same for every buyer, whatever is known of them.",
    )
    fresh_share = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of the places for cars that are too new to be known.",
    )
    promoted_share = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of the places that promoted cars may take.",
    )
    follows_intent = models.BooleanField(
        default=True, help_text="More variety for buyers who are still looking around, less for those who know."
    )
    free_leads = models.PositiveSmallIntegerField(
        default=20, help_text="Recent contacts a car may have before others go first; 0: as many as it gets."
    )
    saturation_strength = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0), MaxValueValidator(10)],
        help_text="Score lost with each doubling of the contacts beyond that.",
    )
    times_shown_at_most = models.PositiveSmallIntegerField(
        default=40, help_text="A car shown this often within 30 days steps back for others."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class WeightTrial(Job):
    """Other weights or rules, tried on what buyers did: lists made both ways for a moment of the past, and measured."""

    TASK = "recommendations.try_weights"

    placement = models.ForeignKey(
        Placement, on_delete=models.CASCADE, related_name="trials", help_text="Whose lists are made."
    )
    before = models.JSONField(default=dict, help_text="Weights and rules as they were stored.")
    after = models.JSONField(default=dict, help_text="The same, as they would be.")
    digest = models.CharField(max_length=32, editable=False, help_text="Of all of this: finds the trial of a preview.")
    result = models.JSONField(default=dict, blank=True, help_text="Moment, buyers and figures, once done.")

    class Meta(Job.Meta):
        verbose_name = "trial of weights"
        verbose_name_plural = "trials of weights"
        indexes = [
            # the newest trial of what a preview shows
            models.Index(fields=["digest", "-created_at"], name="trial_of_preview"),
        ]

    def __str__(self) -> str:
        return f"trial {self.pk} ({self.get_status_display()})"


class ServedList(models.Model):
    """What was shown to whom: the choice set of the events that follow, and the ground of every evaluation."""

    class Kind(models.TextChoices):
        RECOMMENDED = "", "Recommended"
        SIMILAR = "similar", "Similar to a car"
        RANKED = "ranked", "Ids that a client sent, in order"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=10, choices=Kind.choices, default="", db_default="", blank=True)
    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, null=True, related_name="served_lists")
    placement = models.ForeignKey(Placement, on_delete=models.SET_NULL, null=True)
    version = models.ForeignKey(RankerVersion, on_delete=models.SET_NULL, null=True)
    variant = models.CharField(max_length=40, blank=True, help_text="Arm of the experiment.")
    served_at = models.DateTimeField()
    filters = models.JSONField(default=dict)
    listing_ids = ArrayField(models.BigIntegerField(), help_text="In the order shown.")
    scores = ArrayField(models.FloatField())
    sources = ArrayField(models.CharField(max_length=20))
    merchandising = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), blank=True,
        help_text="Merchandising rules: the places they touched, those held out for this buyer, what is promoted.",
    )  # fmt: skip
    propensities = ArrayField(
        models.FloatField(), null=True, blank=True,
        help_text="How likely each car was to stand where it does, given those above it; empty where it was not noted.",
    )  # fmt: skip
    looks_at = models.CharField(
        max_length=15, default="hybrid", db_default="hybrid", help_text="What the score looked at, for the next page."
    )
    # No constraint, as for the lists of events: the page before may not be written yet, or be removed.
    goes_on_from = models.UUIDField(null=True, blank=True, help_text="The list that this one is the next page of.")
    starts_after = models.PositiveIntegerField(
        default=0, db_default=0, help_text="How many cars stand on the pages before it."
    )
    left_out = ArrayField(
        models.BigIntegerField(), default=list, db_default=models.Value([], ArrayField(models.BigIntegerField())),
        blank=True, help_text="Cars that it could not hold: those of the pages before, and those the caller left out.",
    )  # fmt: skip

    class Meta:
        ordering = ["-served_at"]
        indexes = [
            # what a buyer has been shown lately
            models.Index(fields=["buyer", "-served_at"], name="served_to_buyer"),
            # old lists to sweep; lists per minute
            models.Index(fields=["-served_at"], name="served_recently"),
            # which lists held a car; those of the feed hold none, and are written more often than all others
            GinIndex(fields=["listing_ids"], condition=~models.Q(variant="feed"), name="served_listing"),
        ]

    def __str__(self) -> str:
        return f"{len(self.listing_ids)} cars at {self.served_at:%Y-%m-%d %H:%M}"


class SavedSearch(models.Model):
    """A search a buyer wants to hear about; also a strong hint of what is wanted."""

    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=120)
    query = models.JSONField(default=dict)
    is_alerting = models.BooleanField(
        "alerts", default=True, db_default=True, help_text="New and cheaper cars that match reach the buyer."
    )
    filters = models.JSONField(
        null=True, editable=False,
        help_text="The query as alerts compare it, without what cannot be read; null until it was read.",
    )  # fmt: skip
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "saved searches"
        indexes = [
            # what alerts have to read yet
            models.Index(fields=["id"], name="search_unread", condition=models.Q(filters__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.filters = ListingFilters.from_query(self.query).as_query()
        if kwargs.get("update_fields") is not None and "query" in kwargs["update_fields"]:
            kwargs["update_fields"] = {*kwargs["update_fields"], "filters"}
        super().save(*args, **kwargs)


class BuyerSeller(models.Model):
    """A seller that is the buyer's own, or that the buyer blocked: no car of theirs is in this buyer's lists."""

    class Relation(models.TextChoices):
        OWN = "own", "Own"
        BLOCKED = "blocked", "Blocked"

    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="seller_relations")
    # An id and no key, so that it holds for a seller whose first listing is yet to come.
    seller_external_id = models.CharField(
        "seller", max_length=255, help_text="As the seller is stored: source, a slash, and the id there."
    )
    relation = models.CharField(max_length=10, choices=Relation.choices)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["buyer", "relation", "id"]
        verbose_name = "seller of a buyer"
        verbose_name_plural = "sellers of buyers"
        constraints = [
            models.UniqueConstraint(
                fields=["buyer", "relation", "seller_external_id"], name="one_relation_to_a_seller_per_buyer"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_relation_display()}: {self.seller_external_id}"


class ShownAgain(models.Model):
    """A car that a buyer dismissed and wants to see again: what was said of it until then hides it no more.

    The log stays as it is, since it is append-only.
    """

    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="shown_again")
    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="shown_again")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["buyer", "-at"]
        verbose_name = "car shown again"
        verbose_name_plural = "cars shown again"
        constraints = [models.UniqueConstraint(fields=["buyer", "listing"], name="shown_again_once")]

    def __str__(self) -> str:
        return f"listing {self.listing_id} since {self.at:%Y-%m-%d %H:%M}"


class FeedFit(models.Model):
    """What the feed learned of its items, in one row: a new fit takes the place of the old, and has another number."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(help_text="Of the fit; what a process has in memory is as good as its number.")
    content = models.BinaryField(help_text="Its arrays, as npz.")
    fitted_at = models.DateTimeField(help_text="When it was made, or last found to be up to date.")
    seconds = models.FloatField(help_text="What the fit took.")
    n_shown = models.PositiveBigIntegerField(default=0, help_text="Items shown that it knows of.")
    n_actions = models.PositiveBigIntegerField(default=0, help_text="Likes and dislikes that it knows of.")

    class Meta:
        verbose_name = "fit of the feed"
        verbose_name_plural = "fits of the feed"

    def __str__(self) -> str:
        return f"fit {self.number}"


class SimulatedTaste(models.Model):
    """The true utility of a made-up buyer, stored apart: only tests and benchmarks read it, never the recommender."""

    buyer = models.OneToOneField(Buyer, on_delete=models.CASCADE, primary_key=True, related_name="simulated_taste")
    parameters = models.JSONField(help_text="As engine.simulation.TrueTaste understands them.")

    def __str__(self) -> str:
        return f"true taste of {self.buyer}"
