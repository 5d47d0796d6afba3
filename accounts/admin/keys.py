"""Keys of client systems, tokens of people who are logged in, and logins that failed."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import MultipleChoiceField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from rest_framework_simplejwt.token_blacklist.admin import BlacklistedTokenAdmin as BaseBlacklistedTokenAdmin
from rest_framework_simplejwt.token_blacklist.admin import OutstandingTokenAdmin as BaseOutstandingTokenAdmin
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.admin.finding import OF_A_PERSON, person_fields
from accounts.admin.users import staff_of
from accounts.login.attempts import open_again
from accounts.models import ApiKey, ErasedId, FailedLogins, TokenFamily, User
from accounts.services import create_api_key, revoke_api_key
from console.actions import change_each
from console.formats import ago, badge, clock, list_url
from console.pages import ConsoleAdmin, ReadOnlyAdmin, column, dialog, go_to


# --- Keys ------------------------------------------------------------------------------------------------------------
@admin.register(ApiKey)
class ApiKeyAdmin(ConsoleAdmin):
    empty_help = "A client of the API sends a key with each request."
    list_display = ["name", "shown_prefix", "scope_list", "state", "used", "expires_at", "created_by"]
    list_filter = [("created_at", RangeDateTimeFilter)]
    list_select_related = ["created_by"]
    search_fields = ["name__begins_word", "prefix__startswith"]
    search_help_text = "Name, or the first characters of the key"
    fields = [
        "name",
        "scopes",
        "source",
        "expires_at",
        "shown_prefix",
        "state",
        "created_by",
        "created_at",
        "used",
        "revoked_at",
    ]
    readonly_fields = ["shown_prefix", "state", "created_by", "created_at", "used", "revoked_at"]
    actions = ["revoke"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "scopes":
            return MultipleChoiceField(choices=ApiKey.Scope.choices, widget=UnfoldAdminCheckboxSelectMultipleWidget())
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        return self.fields if obj else ["name", "scopes", "source", "expires_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        """A key keeps the scopes it was given out with: who needs others gets another key."""
        return [*self.readonly_fields, "scopes"] if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Revoked keys stay, so that the logs of their use keep a name."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        author = request.user if isinstance(request.user, User) else None
        key, secret = create_api_key(
            name=obj.name, scopes=obj.scopes, source=obj.source, created_by=author, expires_at=obj.expires_at
        )  # fmt: skip
        obj.__dict__.update(key.__dict__)  # the form's row becomes the one the service made
        messages.warning(
            request,
            format_html(
                'Copy the key now, it is shown only this once: <code class="fc-code">{}</code> Clients send it as '
                '<code class="fc-code">X-Api-Key</code>.',
                secret,
            ),
        )

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        change_each(self, request, queryset, lambda key: revoke_api_key(key=key), done="revoked", refusals=())

    @display(description="Begins with")
    def shown_prefix(self, key: ApiKey) -> SafeString:
        return format_html('<code class="fc-code">{}…</code>', key.prefix)

    @display(description="Scopes", label=True)
    def scope_list(self, key: ApiKey) -> list[str]:
        return list(key.scopes)

    @display(description="State")
    def state(self, key: ApiKey) -> SafeString:
        if key.is_usable:
            return badge("Usable", "success")
        return badge("Revoked", "danger") if key.revoked_at else badge("Expired", "warning")

    @display(description="Last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> str:
        return ago(key.last_used_at) if key.last_used_at else "never"


# --- Tokens ----------------------------------------------------------------------------------------------------------
admin.site.unregister([OutstandingToken, BlacklistedToken])


@admin.register(OutstandingToken)
class OutstandingTokenAdmin(BaseOutstandingTokenAdmin, ConsoleAdmin):
    """Who is logged in where. The token itself stays hidden: a person who reads it could act as its owner."""

    ordering = ("-id",)
    exclude = ["token"]
    search_fields: ClassVar[Any] = (*person_fields("user__"), "jti")
    search_help_text = OF_A_PERSON

    def get_readonly_fields(self, *args: Any, **kwargs: Any) -> list[str]:
        return [field.name for field in self.model._meta.fields if field.name != "token"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The package answers yes to those who may view, and its form then has a Save that is refused."""
        return False


@admin.register(TokenFamily)
class TokenFamilyAdmin(ConsoleAdmin):
    """Who is logged in by token, and since when."""

    list_display = ["user", "created_at", "expires_at", "ended_at"]
    list_select_related = ["user"]
    ordering = ("-created_at",)
    search_fields = person_fields("user__")
    search_help_text = OF_A_PERSON
    readonly_fields = ["user", "newest_jti", "created_at", "expires_at", "ended_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ErasedId)
class ErasedIdAdmin(ReadOnlyAdmin):
    """Ids of client systems whose buyers were erased, as digests: asking for one makes no buyer."""

    list_display = ["digest", "erased_at"]
    fields = ["digest", "erased_at"]
    ordering = ["-erased_at"]


@admin.register(BlacklistedToken)
class BlacklistedTokenAdmin(BaseBlacklistedTokenAdmin, ConsoleAdmin):
    ordering = ("-id",)
    search_fields: ClassVar[Any] = (*person_fields("token__user__"), "token__jti")
    search_help_text = OF_A_PERSON
    raw_id_fields = ["token"]

    def get_readonly_fields(self, request: HttpRequest, obj: BlacklistedToken | None = None) -> list[str]:
        """What was revoked stays what it is."""
        return ["token", "blacklisted_at"] if obj else ["blacklisted_at"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# --- Logins that failed ----------------------------------------------------------------------------------------------
class ClosedFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("closed", "Closed now")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[FailedLogins]) -> QuerySet[FailedLogins]:
        return queryset.filter(closed_until__gt=timezone.now()) if self.value() == "closed" else queryset


@admin.register(FailedLogins)
class FailedLoginsAdmin(ReadOnlyAdmin):
    """Which accounts and addresses are closed, or on the way there, and the way to open them."""

    empty_help = "Accounts and addresses with failed logins stand here until they log in, or for a month."
    list_display = ["name", "kind", column("n_tries", "Wrong passwords"), "state", "first_at", "last_at"]
    list_filter = [ClosedFilter, ("kind", ChoicesDropdownFilter)]
    ordering = ("-last_at",)
    search_fields = ["name__begins_word"]
    search_help_text = "Email or network address, from its beginning"
    fields = [("name", "kind"), ("n_tries", "state"), ("first_at", "last_at")]
    actions = ["reopen_selected"]
    actions_detail = ["reopen"]

    def has_reopen_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("accounts.change_failedlogins"))

    @admin.action(description="Open again: forget what failed", permissions=["reopen"])
    def reopen_selected(self, request: HttpRequest, queryset: QuerySet[FailedLogins]) -> None:
        n_opened = open_again(queryset, by=staff_of(request))
        messages.success(request, f"{n_opened} opened again.")

    @action(
        description="Open again",
        url_path="open",
        icon="lock_open",
        permissions=["reopen"],
        dialog=dialog("Open again", "What failed is forgotten, and it may be tried again at once.", "Open again"),
    )
    def reopen(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        row = get_object_or_404(FailedLogins, pk=object_id)
        open_again(FailedLogins.objects.filter(pk=row.pk), by=staff_of(request))
        messages.success(request, f"{row} is open again.")
        return go_to(list_url(FailedLogins))

    @display(description="State")
    def state(self, row: FailedLogins) -> SafeString:
        if row.is_closed and row.closed_until:
            return badge(f"Closed until {clock(row.closed_until)}", "danger")
        return badge("Open", "success")
