"""Photos, first registration, condition, damage and the day of posting, as ``catalog.attributes`` declares them."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0015_relations_are_noted")]

    operations = [
        migrations.AddField(
            model_name="listing",
            name="first_registration",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="listing",
            name="condition",
            field=models.CharField(
                blank=True,
                choices=[("new", "New"), ("used", "Used"), ("demo", "Ex-demo or pre-registered")],
                db_default="",
                default="",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="listing",
            name="damage",
            field=models.CharField(
                blank=True,
                choices=[
                    ("none", "Accident-free"),
                    ("repaired", "Damage repaired"),
                    ("damaged", "Damaged"),
                    ("written_off", "Insurance write-off"),
                ],
                db_default="",
                default="",
                max_length=15,
            ),
        ),
        migrations.AddField(
            model_name="listing",
            name="posted_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When its source put the advertisement online.",
                null=True,
                verbose_name="posted",
            ),
        ),
        migrations.AddField(
            model_name="listing",
            name="photos",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.URLField(max_length=500),
                blank=True,
                db_default=[],
                default=list,
                help_text="Web addresses, the main photo first.",
                size=None,
            ),
        ),
    ]
