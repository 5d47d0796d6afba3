"""People: a user may log in, a buyer has a taste, a key may call; and what operators changed.

A buyer is not a user: most visitors never log in, and client systems know their people by ids of their own.
"""

import hashlib
import secrets
import uuid
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.querysets import ApiKeyQuerySet, UserManager
from console.formats import stamp


class User(AbstractUser):
    """A person with an email address who may log in; staff may use the admin."""

    logged_out_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Sessions and tokens from before are over."
    )
    username = None  # type: ignore[assignment]
    email = models.EmailField("email address", unique=True, error_messages={"unique": "This address is taken."})

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    objects = UserManager()  # type: ignore[misc,assignment]

    class Meta:
        ordering = ["email"]
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique_in_any_case")]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A closed account is logged out everywhere, so that opening it again revives no session or token."""
        if self.pk and not self.is_active:
            self.logged_out_at = timezone.now()
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "logged_out_at"}
        super().save(*args, **kwargs)
        if not self.is_active:
            self.token_families.filter(ended_at=None).update(ended_at=self.logged_out_at or timezone.now())

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Django ends a session when this changes: with the password, and with ``logged_out_at``."""
        of_password: str = super()._get_session_auth_hash(secret)  # type: ignore[misc]
        if self.logged_out_at is None:
            return of_password
        return f"{of_password[:40]}-{self.logged_out_at.timestamp():.6f}"


class TokenFamily(models.Model):
    """One login: the pair of tokens it gave, and those that were bought with its refresh tokens since."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="token_families")
    newest_jti = models.CharField(max_length=255, help_text="Of the one refresh token that can still be spent.")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Logged out, or a token was spent twice.")

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "login by token"
        verbose_name_plural = "logins by token"

    def __str__(self) -> str:
        return f"{self.user} since {stamp(self.created_at)}"


class FailedLogins(models.Model):
    """Tries to log in that are counted together: since when, how many, and until when there may be no more.

    A try is counted before the password is looked at, and taken back when it was right; so what stands here failed, or
    is being looked at.
    """

    class Kind(models.TextChoices):
        ACCOUNT = "account", "On one account"
        ADDRESS = "address", "From one address"
        CODE = "code", "Second factor of one account"
        PACE = "pace", "Pace on one account from one address"
        RESET = "reset", "Password resets from one address"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=320, help_text="The email address that was typed, or where it came from.")
    n_tries = models.PositiveIntegerField()
    first_at = models.DateTimeField(help_text="The first try that is counted here.")
    last_at = models.DateTimeField(db_index=True)
    closed_until = models.DateTimeField(null=True, blank=True, help_text="No try is looked at before.")

    class Meta:
        ordering = ["-last_at"]
        verbose_name = "failed login"
        verbose_name_plural = "failed logins"
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="failed_logins_unique")]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_kind_display().lower()})"

    @property
    def is_closed(self) -> bool:
        return self.closed_until is not None and self.closed_until > timezone.now()


class Buyer(models.Model):
    """Whose taste we learn: a user's, a guest's by visitor key, or a client system's by its own opaque id."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, null=True, blank=True, related_name="buyer")
    visitor_key = models.CharField(
        max_length=64, db_index=True, null=True, blank=True, help_text="The random key in a guest's browser."
    )
    spent_at = models.DateTimeField(
        null=True, blank=True, editable=False,
        help_text="When a login or logout ended what the visitor key stood for: the key now makes a new guest.",
    )  # fmt: skip
    external_id = models.CharField(
        max_length=255, unique=True, null=True, blank=True, help_text="The id a client system knows this buyer by."
    )
    merged_into = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="merged_from",
        help_text="Set when a guest logged in: the history of the guest is this buyer's.",
    )  # fmt: skip
    questionnaire = models.JSONField(
        default=dict, blank=True, help_text="What the buyer answered: budget, bodies, fuels, gearboxes, makes, use."
    )
    is_personalised = models.BooleanField(default=True, help_text="Off: the buyer gets the lists of a new visitor.")
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    country = models.CharField(
        "home country", max_length=2, blank=True, default="", db_default="", help_text="Two letters, as in ISO 3166."
    )
    locale = models.CharField(
        max_length=20, blank=True, default="", db_default="", help_text="Language and region, as “en-GB”."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    origin = models.CharField(
        max_length=32, default="", db_default="", blank=True, editable=False,
        help_text="Of a guest: a keyed digest of where the first request came from, another one each day, removed "
        "after a day or two.",
    )  # fmt: skip
    crawler = models.CharField(
        "declared crawler", max_length=40, default="", db_default="", blank=True, editable=False,
        help_text="The word by which the User-Agent of a request declared itself a program.",
    )  # fmt: skip
    is_new = False  # whether this very object was made when it was looked up, and is not only read

    class Meta:
        indexes = [
            # guests of the last hour by where they came from, and origins to remove
            models.Index(fields=["created_at"], name="buyer_with_origin", condition=~models.Q(origin="")),
            # programs that declared themselves
            models.Index(fields=["id"], name="buyer_declared_crawler", condition=~models.Q(crawler="")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user__isnull=False)
                | models.Q(visitor_key__isnull=False)
                | models.Q(external_id__isnull=False),
                name="buyer_is_known_by_something",
            ),
            models.UniqueConstraint(
                fields=["visitor_key"],
                condition=models.Q(merged_into=None, spent_at=None),
                name="buyer_visitor_key_unique_until_spent",
            ),
            models.CheckConstraint(
                condition=~models.Q(merged_into=models.F("id")), name="buyer_not_merged_into_itself"
            ),
        ]

    def __str__(self) -> str:
        if self.user_id:
            return str(self.user)
        return self.external_id or f"guest {str(self.visitor_key)[:8]}"


class ErasedId(models.Model):
    """That the buyer of an external id was erased: asking for that id makes no buyer of it, only an event does.

    Only a keyed digest of the id is kept, which says nothing to those who do not have the id and our key.
    """

    digest = models.CharField(max_length=64, unique=True, editable=False)
    erased_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-erased_at"]
        verbose_name = "erased id"

    def __str__(self) -> str:
        return f"{self.digest[:8]}… at {stamp(self.erased_at)}"

    @staticmethod
    def digest_of(external_id: str) -> str:
        return salted_hmac("accounts.ErasedId", external_id, algorithm="sha256").hexdigest()


class ApiKey(models.Model):
    """A client system's key. Only its hash is kept: the key itself is shown once, when it is made."""

    class Scope(models.TextChoices):
        READ = "read", "Read: lists and scores"
        INGEST = "ingest", "Ingest: listings and events"
        BUYERS = "buyers", "Buyers: who would want a car (personal data)"
        ADMIN = "admin", "Admin: everything, destructive routes included"

    name = models.CharField(max_length=100, help_text="Who uses this key, and for what.")
    prefix = models.CharField(max_length=12, editable=False, help_text="The first characters, to recognise it by.")
    hashed_key = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope.choices))
    source = models.CharField(
        max_length=80, blank=True, default="", db_default="",
        help_text="Whose listing ids the client sends where a request does not say. Empty: LISTING_SOURCE.",
    )  # fmt: skip
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def new_secret() -> str:
        return f"fc_{secrets.token_urlsafe(32)}"

    @staticmethod
    def digest(secret: str) -> str:
        """Keys carry 256 random bits, so a plain hash is enough: there is nothing to guess."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    def allows(self, scope: str) -> bool:
        return scope in self.scopes or self.Scope.ADMIN in self.scopes


class AuditEntry(models.Model):
    """One change that an operator made in the console: who, what, before and after. Append-only."""

    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    by_name = models.CharField(max_length=254, blank=True, help_text="Who it was, should the account be gone.")
    action = models.CharField(max_length=60, help_text="In one word or two: added, changed, removed, promoted …")
    model = models.CharField(max_length=80, help_text="What kind of row, as “catalog.listing”.")
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.CharField(max_length=200, blank=True)
    before = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["model", "object_id"], name="audit_of_object"),  # the history of one row
            models.Index(fields=["by", "-id"], name="audit_by_person"),
        ]

    def __str__(self) -> str:
        return f"{self.object_name or self.model} {self.action}"
