"""What every walk through the console begins with."""

from django.contrib.auth.models import Group

from tests.factories import UserFactory

PASSWORD = "password"  # of every user a factory makes


def log_in(page, role: str = "", *, superuser: bool = False) -> None:
    """Through the form, as a person of this role."""
    person = UserFactory(is_staff=True, is_superuser=superuser)
    if role:
        person.groups.add(Group.objects.get(name=role))
    page.goto("/admin/")
    page.fill("input[name=username]", person.email)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/admin/")
