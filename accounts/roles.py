"""Three roles of the console, as groups: who may look, who may run the shop, who may run the people too.

They are kept by ``install_roles`` after every migration, so that a new kind of row is in the right hands at once.
Another mixture is a group of an operator's own.
"""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission

VIEWER, OPERATOR, ADMINISTRATOR = ROLES = ("Viewer", "Operator", "Administrator")

OURS = ("accounts", "catalog", "recommendations", "webhooks", "django_celery_beat", "django_celery_results")
FOR_ADMINISTRATORS = (
    "user",
    "apikey",
    "tokenfamily",
    "erasedid",
    "failedlogins",
)  # in accounts: others neither change these nor see who holds a key
HANDLED_BY_OPERATORS = {
    "accounts": ("buyer",),
    "catalog": ("listing", "seller", "make", "carmodel", "importrun", "feed", "qualityreport"),
    "recommendations": (
        "eventkind", "placement", "experiment", "savedsearch", "alertsettings", "preference", "rankerversion",
        "trainingrun", "evaluation", "seedrun", "tastemap", "merchandisingrule", "feedjudgement",
    ),
    "webhooks": ("endpoint", "delivery"),
    "django_celery_beat": ("periodictask", "intervalschedule", "crontabschedule", "clockedschedule", "solarschedule"),
    "django_celery_results": ("taskresult",),
}  # fmt: skip
WHAT_THEY_DO = {
    VIEWER: "looks at everything but keys and changes nothing",
    OPERATOR: "runs the shop: stock, imports, weights, placements, trainings, schedules",
    ADMINISTRATOR: "does all of that, and looks after people, keys and roles",
}


def install_roles() -> None:
    """Make the groups, and give each exactly the permissions of its role."""
    for name in ROLES:
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set(permissions_of(name))


def permissions_of(role: str) -> list[Permission]:
    """What a role may do, among the permissions that exist."""
    everything = Permission.objects.filter(content_type__app_label__in=(*OURS, "auth", "mfa", "socialaccount"))
    return [permission for permission in everything.select_related("content_type") if allows(role, permission)]


def allows(role: str, permission: Permission) -> bool:
    app, model = permission.content_type.app_label, permission.content_type.model
    verb = permission.codename.partition("_")[0]
    if app in ("mfa", "socialaccount"):  # people set up their own; administrators remove what was lost
        return role == ADMINISTRATOR and model in ("authenticator", "socialaccount") and verb in ("view", "delete")
    if app == "auth":  # groups may be looked at and handed out; what they hold is for superusers
        return role == ADMINISTRATOR and model == "group" and verb in ("view", "change")
    if role == ADMINISTRATOR:
        return model != "auditentry" or verb == "view"
    if app == "accounts" and model in FOR_ADMINISTRATORS:
        return verb == "view" and model == "user"
    if verb == "view":
        return True
    return role == OPERATOR and model in HANDLED_BY_OPERATORS.get(app, ())
