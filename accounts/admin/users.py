"""People in the admin: users who log in, the roles they have, and buyers whose taste is learned."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Prefetch, Q, QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, BaseDialogForm
from unfold.forms import UserChangeForm as BaseUserChangeForm
from unfold.forms import UserCreationForm as BaseUserCreationForm

from accounts.admin.finding import OF_A_PERSON, buyers_found, person_fields
from accounts.exceptions import EraseRefused
from accounts.login.two_factor import remove_factors
from accounts.models import Buyer, User
from accounts.roles import ROLES, WHAT_THEY_DO
from accounts.services import erase_person, export_person
from console.auditing import forget, record
from console.formats import NONE, link_to, list_link, list_url, page_of, table
from console.pages import ConsoleAdmin, dialog, go_to


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
class UserAdmin(BaseUserAdmin, ConsoleAdmin):  # type: ignore[type-arg] # no generic at run time
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["person", "role", "is_active", "last_login", "date_joined"]
    list_filter = [
        ("is_staff", BooleanRadioFilter), ("is_superuser", BooleanRadioFilter), ("is_active", BooleanRadioFilter),
        ("groups", RelatedDropdownFilter), ("date_joined", RangeDateTimeFilter),
    ]  # fmt: skip
    ordering = ("email",)
    search_fields = person_fields()
    search_help_text = OF_A_PERSON
    fieldsets = [
        (None, {"fields": ["email", "password", ("first_name", "last_name")]}),
        ("What they may do", {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        ("When", {"fields": [("last_login", "date_joined")]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "usable_password", "password1", "password2"]})]
    readonly_fields = ["last_login", "date_joined"]
    autocomplete_fields = ["groups"]
    actions_detail: list[Any] = ["remove_factors"]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Who may edit users could otherwise give themselves any right.

        Administrators hand out roles, and only superusers single rights. A new person gets rights in a second step.
        """
        rights = [] if is_superuser(request) else ["is_superuser", "user_permissions"]
        roles = [] if may_hand_out_roles(request) else ["is_staff", "groups"]
        return [*super().get_readonly_fields(request, obj), *roles, *rights]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Groups of an operator's own may hold any right, so they too are a superuser's to give."""
        if db_field.name == "groups" and not is_superuser(request):
            kwargs["queryset"] = Group.objects.filter(name__in=ROLES)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """A new password for a superuser is a way to become one, so their accounts are theirs."""
        return super().has_change_permission(request, obj) and (is_superuser(request) or not is_above(obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (is_superuser(request) or not is_above(obj))

    @method_decorator(transaction.atomic)
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """The password and its entry in the audit log, or neither."""
        return super().user_change_password(request, id, form_url)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """The form of a password changes a user, but has no ``instance`` whose changes could be compared."""
        if isinstance(form, AdminPasswordChangeForm):
            return "A new password." if form.user.has_usable_password() else "The password was removed."
        return super().construct_change_message(request, form, formsets, add)

    def has_remove_factors_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("accounts.change_user"))

    @action(
        description="Remove second factors",
        url_path="remove-factors",
        icon="phonelink_erase",
        permissions=["remove_factors"],
        dialog=dialog(
            "Remove second factors",
            "For a person who lost them: the password alone lets in then, until another is set up.",
            "Remove",
        ),
    )
    def remove_factors(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        user = get_object_or_404(User, pk=object_id)
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        n_removed = remove_factors(user, by=staff_of(request))
        messages.success(request, f"{n_removed} removed.")
        return go_to(page_of(user))

    @display(description="Person", header=True, ordering="email")
    def person(self, user: User) -> list[str]:
        return [user.email, user.get_full_name()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Operators' names stay in the log; of every other person only the fact of the removal."""
        staff: Any = [user for user in queryset if user.is_staff]
        for user in queryset:
            if not user.is_staff:
                forget([user])
                record(by=request.user, action="removed", target=User, note="A person's account.")
        return super().log_deletions(request, staff) if staff else []

    @display(description="Role", label={"Superuser": "danger", "Person": ""})
    def role(self, user: User) -> str:
        if user.is_superuser:
            return "Superuser"
        groups = ", ".join(group.name for group in user.groups.all())
        return (groups or "Staff without a role") if user.is_staff else "Person"


def staff_of(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def may_hand_out_roles(request: HttpRequest) -> bool:
    return request.user.has_perm("auth.change_group")


def is_above(user: Any) -> bool:
    """Unfold asks about a button with the bare id; only a row shows who is a superuser."""
    return isinstance(user, User) and user.is_superuser


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ConsoleAdmin):
    list_display = ["name", "what_they_do", "people"]
    ordering = ("name",)
    search_fields = ["name"]
    search_help_text = "Words of the name"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).annotate(n_people=Count("user"))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Group | None:
        """With the model of each right, which its name begins with: asked one by one, a role took 860 statements."""
        group: Group | None = super().get_object(request, object_id, from_field)
        if group is not None:
            rights = Permission.objects.select_related("content_type")
            prefetch_related_objects([group], Prefetch("permissions", rights))
        return group

    @display(description="What they may do")
    def what_they_do(self, group: Group) -> str:
        return WHAT_THEY_DO.get(group.name, "a mixture of your own").capitalize()

    @display(description="People")
    def people(self, group: Any) -> SafeString:
        return list_link(User, f"{group.n_people:,}", groups__id__exact=group.pk)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """A group is a bundle of rights, and rights are a superuser's to give; the three roles are kept as they are."""
        is_role = isinstance(obj, Group) and obj.name in ROLES
        return super().has_change_permission(request, obj) and is_superuser(request) and not is_role

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        is_role = isinstance(obj, Group) and obj.name in ROLES
        return super().has_delete_permission(request, obj) and not is_role

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and is_superuser(request)


def name_of(buyer: Buyer) -> str:
    """The full name and the email, or whatever the buyer is known by."""
    name = buyer.user.get_full_name() if buyer.user else ""
    return f"{name} · {buyer}" if name else str(buyer)


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


class EraseForm(BaseDialogForm):
    """Asks once more, and names the person."""

    form_before_template = "console/erase_person.html"

    def get_before_template_context(self, request: HttpRequest, object_id: int | str | None = None) -> dict[str, Any]:
        buyer = get_object_or_404(Buyer.objects.select_related("user"), pk=object_id)
        name = buyer.user.get_full_name() if buyer.user else ""
        return {"person": f"{buyer}, {name}" if name else str(buyer)}


@admin.register(Buyer)
class BuyerAdmin(ConsoleAdmin):
    """Who a buyer is. What the buyer likes is added by the app that learns it."""

    empty_help = "A buyer is there from their first event on, in the shop or through the API."
    list_display = ["identity", "kind", "is_personalised", "created_at"]
    list_filter: list[Any] = [
        IdentityFilter, ("is_personalised", BooleanRadioFilter), ("created_at", RangeDateTimeFilter),
    ]  # fmt: skip
    list_select_related = ["user"]
    search_fields = ["external_id"]  # shows the search box; get_search_results says how
    search_help_text = "Words of the name, in any order; email, client system's id or visitor key, from its beginning"
    autocomplete_fields = ["user"]
    raw_id_fields = ["merged_into"]
    readonly_fields: list[str] = ["created_at", "spent_at", "merged_buyers", "answers"]
    fieldsets: list[Any] = [
        (
            "Who",
            {
                "fields": [
                    "user",
                    "external_id",
                    ("visitor_key", "spent_at"),
                    ("merged_into", "merged_buyers"),
                    "created_at",
                ]
            },
        ),
        (
            "What they answered",
            {"fields": ["answers", "is_personalised", ("latitude", "longitude"), ("country", "locale")]},
        ),
    ]

    actions_detail: list[Any] = ["export", "erase"]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Headed by the person's name, where it is known, beside what they are known by."""
        buyer = Buyer.objects.select_related("user").filter(pk=object_id).first()
        subtitle = {"subtitle": name_of(buyer)} if buyer else {}
        extra = {**(extra_context or {}), **subtitle, "show_delete": False}  # which “Erase” does, and says what goes
        page: HttpResponse = super().change_view(request, object_id, form_url, extra)
        return page

    def has_erase_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("accounts.delete_buyer"))

    @action(description="Export", url_path="export", icon="download", permissions=["erase"])
    def export(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Everything known of a person, for the person: the same file that the API gives."""
        exported = export_person(buyer=get_object_or_404(Buyer, pk=object_id), by=staff_of(request))
        return JsonResponse(
            exported,
            json_dumps_params={"indent": 1, "ensure_ascii": False},
            headers={"Content-Disposition": f'attachment; filename="buyer-{object_id}.json"'},
        )

    @action(
        description="Erase",
        url_path="erase",
        icon="delete_forever",
        permissions=["erase"],
        variant=ActionVariant.DANGER,
        dialog=dialog(
            "Erase this person",
            "At once and for good: the account, events, lists shown, tastes, saved searches, tokens, "
            "and the guests this person has been. Only the fact of the erasure stays, in the audit log.",
            "Erase for good",
            EraseForm,
        ),
    )
    def erase(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        buyer = get_object_or_404(Buyer, pk=object_id)
        try:
            erase_person(buyer=buyer, by=staff_of(request))
        except EraseRefused as refusal:
            messages.error(request, f"Nothing was erased: {refusal}")
            return go_to(page_of(buyer))
        messages.success(request, "Everything about this person was erased.")
        return go_to(list_url(Buyer))

    def delete_model(self, request: HttpRequest, obj: Buyer) -> None:
        """Deleting a buyer is erasing a person, by whichever button."""
        erase_person(buyer=obj, by=staff_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Buyer]) -> None:
        for buyer in queryset:
            self.delete_model(request, buyer)

    def has_delete_permission(self, request: HttpRequest, obj: Buyer | None = None) -> bool:
        """Operators' accounts are removed under users, by those who may."""
        is_staff = isinstance(obj, Buyer) and obj.user is not None and obj.user.is_staff
        return super().has_delete_permission(request, obj) and not is_staff

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """Erasing keeps its own entry, without a name."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Buyer], search_term: str
    ) -> tuple[QuerySet[Buyer], bool]:
        if not (term := search_term.strip()):
            return queryset, False
        return queryset.filter(buyers_found(term)), False

    @display(description="Buyer", header=True)
    def identity(self, buyer: Buyer) -> list[str]:
        name = buyer.user.get_full_name() if buyer.user else ""
        return [str(buyer), f"merged into buyer {buyer.merged_into_id}" if buyer.merged_into_id else name]

    @display(description="Known as", label={"User": "success", "Guest": "warning", "Client's id": "info"})
    def kind(self, buyer: Buyer) -> str:
        return "User" if buyer.user_id else "Client's id" if buyer.external_id else "Guest"

    @display(description="Questionnaire")
    def answers(self, buyer: Buyer) -> str:
        """As given in the shop or through the API; apps above this one know their words."""
        return ", ".join(map(str, buyer.questionnaire)) or "Not answered yet."

    @display(description="Merged from")
    def merged_buyers(self, buyer: Buyer) -> str | SafeString:
        rows = [[link_to(guest), guest.created_at.date()] for guest in buyer.merged_from.select_related("user")[:20]]
        return table(["Guest", "Since"], rows) if rows else NONE
