"""The demo's users, who can log in as buyers, and its operator."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password

from accounts.models import Buyer, User

N_DEMO_USERS = 50
DEMO_EMAILS = [f"john{number}@example.com" for number in range(N_DEMO_USERS)]
DEMO_PASSWORD = "demo"  # noqa: S105 -- printed on the first page of the demo; works in demo mode only
ADMIN_EMAIL, ADMIN_PASSWORD = "admin@example.com", "forecourt"


def ensure_demo_people() -> None:
    """Create john0 to john49 as users and buyers; in demo mode with the password "demo", and an operator too.

    Outside demo mode they cannot log in, because the password is public. An existing user is left as they are, but a
    john without a usable password gets one when demo mode is on.
    """
    johns = User.objects.filter(email__in=DEMO_EMAILS)
    locked_out = johns.filter(password__startswith=UNUSABLE_PASSWORD_PREFIX) if settings.DEMO_MODE else johns.none()
    if johns.count() < N_DEMO_USERS or locked_out.exists():
        # one hash for all: hashing is slow on purpose, and this password is public
        password = make_password(DEMO_PASSWORD if settings.DEMO_MODE else None)
        locked_out.update(password=password)
        User.objects.bulk_create(
            [
                User(email=email, first_name=f"John{number}", last_name="Doe", password=password)
                for number, email in enumerate(DEMO_EMAILS)
            ],
            ignore_conflicts=True,
        )
    Buyer.objects.bulk_create([Buyer(user=user) for user in johns.filter(buyer=None)], ignore_conflicts=True)
    if settings.DEMO_MODE and not User.objects.filter(email=ADMIN_EMAIL).exists():
        User.objects.create_superuser(ADMIN_EMAIL, ADMIN_PASSWORD)
