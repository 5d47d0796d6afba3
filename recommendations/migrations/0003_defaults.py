"""The event kinds and the placement every installation starts with. Operators change them in the admin."""

from django.db import migrations

EVENT_KINDS = [  # slug, name, weight, half-life in days, is_contact, is_dismissal
    ("contact", "Contacted the seller", 2.0, 60.0, True, False),
    ("favourite", "Saved as favourite", 1.5, 45.0, False, False),
    ("like", "Liked", 1.5, 45.0, False, False),
    ("compare", "Compared", 1.2, 30.0, False, False),
    ("view", "Opened the page", 1.0, 30.0, False, False),
    ("search", "Searched", 1.0, 21.0, False, False),
    ("dislike", "Disliked", -1.5, 60.0, False, True),
    ("hide", "Hid from the list", -0.5, 30.0, False, True),
]


def create_defaults(apps, schema_editor):
    event_kind = apps.get_model("recommendations", "EventKind")
    for slug, name, weight, half_life_days, is_contact, is_dismissal in EVENT_KINDS:
        event_kind.objects.get_or_create(
            slug=slug,
            defaults={
                "name": name,
                "weight": weight,
                "half_life_days": half_life_days,
                "is_contact": is_contact,
                "is_dismissal": is_dismissal,
            },
        )
    apps.get_model("recommendations", "Placement").objects.get_or_create(slug="home", defaults={"name": "Home page"})


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0002_listing_vectors")]

    operations = [migrations.RunPython(create_defaults, migrations.RunPython.noop)]
