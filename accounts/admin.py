"""How staff see people: users who log in, buyers whose taste is learned, keys that call."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.forms import MultipleChoiceField
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from rest_framework_simplejwt.token_blacklist.admin import BlacklistedTokenAdmin as BaseBlacklistedTokenAdmin
from rest_framework_simplejwt.token_blacklist.admin import OutstandingTokenAdmin as BaseOutstandingTokenAdmin
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.contrib.filters.admin import BooleanRadioFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm
from unfold.forms import UserChangeForm as BaseUserChangeForm
from unfold.forms import UserCreationForm as BaseUserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.models import ApiKey, Buyer, User
from accounts.services import create_api_key, revoke_api_key
from recommender_site.admin_kit import NONE, ConsoleAdmin, ago, badge, change_each, link_to, table


# --- Users -----------------------------------------------------------------------------------------------------------
class UserCreationForm(BaseUserCreationForm):
    class Meta:
        model = User
        fields = ["email"]


class UserChangeForm(BaseUserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(BaseUserAdmin, ConsoleAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["person", "role", "is_active", "last_login", "date_joined"]
    list_filter = [
        ("is_staff", BooleanRadioFilter), ("is_superuser", BooleanRadioFilter), ("is_active", BooleanRadioFilter),
        ("date_joined", RangeDateTimeFilter),
    ]  # fmt: skip
    ordering = ("email",)
    search_fields = ["email__istartswith", "first_name__istartswith", "last_name__istartswith"]
    search_help_text = "Email or name, from its beginning"
    fieldsets = [
        (None, {"fields": ["email", "password", ("first_name", "last_name")]}),
        ("What they may do", {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        ("When", {"fields": [("last_login", "date_joined")]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "usable_password", "password1", "password2"]})]
    readonly_fields = ["last_login", "date_joined"]
    autocomplete_fields = ["groups"]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Only a superuser hands out rights; otherwise who may edit users could make themselves one."""
        rights = [] if is_superuser(request) else ["is_staff", "is_superuser", "groups", "user_permissions"]
        return [*super().get_readonly_fields(request, obj), *rights]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """A new password for a superuser is a way to become one, so their accounts are theirs."""
        return super().has_change_permission(request, obj) and (is_superuser(request) or not is_above(obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (is_superuser(request) or not is_above(obj))

    @display(description="Person", header=True, ordering="email")
    def person(self, user: User) -> list[str]:
        return [user.email, user.get_full_name()]

    @display(description="Role", label={"Superuser": "danger", "Staff": "info", "Person": ""})
    def role(self, user: User) -> str:
        return "Superuser" if user.is_superuser else "Staff" if user.is_staff else "Person"


def is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def is_above(user: Any) -> bool:
    """Unfold asks about a button with the bare id; only a row can tell who is a superuser."""
    return isinstance(user, User) and user.is_superuser


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ConsoleAdmin):
    ordering = ("name",)
    search_fields = ["name"]

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """A group is a bundle of rights, and rights are a superuser's to give."""
        return super().has_change_permission(request, obj) and is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and is_superuser(request)


# --- Buyers ----------------------------------------------------------------------------------------------------------
class IdentityFilter(admin.SimpleListFilter):
    title = "known as"
    parameter_name = "known_as"
    conditions = {
        "user": Q(user__isnull=False),
        "guest": Q(user=None, visitor_key__isnull=False),
        "external": Q(user=None, external_id__isnull=False),
        "merged": Q(merged_into__isnull=False),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("user", "User"), ("guest", "Guest"), ("external", "Client system's id"), ("merged", "Merged away")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Buyer]) -> QuerySet[Buyer]:
        condition = self.conditions.get(self.value() or "")
        return queryset.filter(condition) if condition else queryset


@admin.register(Buyer)
class BuyerAdmin(ConsoleAdmin):
    """Who a buyer is. What the buyer likes is added by the app that learns it."""

    list_display = ["identity", "kind", "is_personalised", "created_at"]
    list_filter: list[Any] = [
        IdentityFilter, ("is_personalised", BooleanRadioFilter), ("created_at", RangeDateTimeFilter),
    ]  # fmt: skip
    list_select_related = ["user"]
    search_fields = ["external_id"]  # shows the search box; get_search_results says how
    search_help_text = "Email, client system's id or visitor key, from its beginning"
    autocomplete_fields = ["user"]
    raw_id_fields = ["merged_into"]
    readonly_fields: list[str] = ["created_at", "merged_buyers"]
    fieldsets: list[Any] = [
        ("Who", {"fields": ["user", "external_id", "visitor_key", ("merged_into", "merged_buyers"), "created_at"]}),
        ("What they told us", {"fields": ["questionnaire", "is_personalised", ("latitude", "longitude")]}),
    ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Buyer], search_term: str
    ) -> tuple[QuerySet[Buyer], bool]:
        """Each alternative is answered by an index of its own, so the people are looked up first."""
        if not (term := search_term.strip()):
            return queryset, False
        people = User.objects.filter(email__startswith=term.lower()).values_list("pk", flat=True)[:200]
        found = Q(user_id__in=list(people)) | Q(external_id__startswith=term) | Q(visitor_key__startswith=term)
        return queryset.filter(found), False

    @display(description="Buyer", header=True)
    def identity(self, buyer: Buyer) -> list[str]:
        name = buyer.user.get_full_name() if buyer.user else ""
        return [str(buyer), f"merged into buyer {buyer.merged_into_id}" if buyer.merged_into_id else name]

    @display(description="Known as", label={"User": "success", "Guest": "warning", "Client's id": "info"})
    def kind(self, buyer: Buyer) -> str:
        return "User" if buyer.user_id else "Client's id" if buyer.external_id else "Guest"

    @display(description="Merged from")
    def merged_buyers(self, buyer: Buyer) -> str | SafeString:
        rows = [[link_to(guest), guest.created_at.date()] for guest in buyer.merged_from.select_related("user")[:20]]
        return table(["Guest", "Since"], rows) if rows else NONE


# --- Keys ------------------------------------------------------------------------------------------------------------
@admin.register(ApiKey)
class ApiKeyAdmin(ConsoleAdmin):
    list_display = ["name", "shown_prefix", "scope_list", "state", "used", "expires_at", "created_by"]
    list_filter = [("created_at", RangeDateTimeFilter)]
    list_select_related = ["created_by"]
    search_fields = ["name__icontains", "prefix__startswith"]
    search_help_text = "Name, or the first characters of the key"
    fields = ["name", "scopes", "expires_at", "shown_prefix", "state", "created_by", "created_at", "used", "revoked_at"]
    readonly_fields = ["shown_prefix", "state", "created_by", "created_at", "used", "revoked_at"]
    actions = ["revoke"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "scopes":
            return MultipleChoiceField(choices=ApiKey.Scope.choices, widget=UnfoldAdminCheckboxSelectMultipleWidget())
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        return self.fields if obj else ["name", "scopes", "expires_at"]

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
            name=obj.name, scopes=obj.scopes, created_by=author, expires_at=obj.expires_at
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
    """Who is logged in where. The token itself stays hidden: whoever reads it could act as its owner."""

    ordering = ("-id",)
    exclude = ["token"]
    search_fields = ("user__email__istartswith", "jti")

    def get_readonly_fields(self, *args: Any, **kwargs: Any) -> list[str]:
        return [field.name for field in self.model._meta.fields if field.name != "token"]


@admin.register(BlacklistedToken)
class BlacklistedTokenAdmin(BaseBlacklistedTokenAdmin, ConsoleAdmin):
    ordering = ("-id",)
    search_fields = ("token__user__email__istartswith", "token__jti")
    raw_id_fields = ["token"]
