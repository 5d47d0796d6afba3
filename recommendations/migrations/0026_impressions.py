"""What was seen of lists, how long pages were looked at, and what contacts are worth."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

IMPRESSION = {"name": "Seen in a list", "weight": 0.0, "half_life_days": 30.0}


def add_kind(apps, schema_editor):
    """A kind of that name which operators have made stays as it is."""
    apps.get_model("recommendations", "EventKind").objects.get_or_create(slug="impression", defaults=IMPRESSION)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0012_bots_found"),
        ("recommendations", "0025_bot_marks"),
    ]

    operations = [
        migrations.AddField(
            model_name="interaction",
            name="dwell_seconds",
            field=models.FloatField(
                blank=True,
                help_text="Of a view: for how many seconds the page was looked at.",
                null=True,
                verbose_name="dwell",
            ),
        ),
        migrations.AddField(
            model_name="interaction",
            name="value",
            field=models.DecimalField(
                blank=True,
                decimal_places=2,
                help_text="Of a contact or a sale: what it is worth to the marketplace, in the market's currency.",
                max_digits=12,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="placement",
            name="impressions_since",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Since when its lists are counted by what was seen of them; empty: by what was served.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="waitingevent",
            name="dwell_seconds",
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="waitingevent",
            name="value",
            field=models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True),
        ),
        migrations.CreateModel(
            name="Impression",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event_id", models.CharField(max_length=64)),
                ("sender", models.CharField(max_length=32)),
                ("content_digest", models.BigIntegerField(editable=False)),
                (
                    "positions",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(),
                        blank=True,
                        default=list,
                        help_text="Positions of that list that were seen; 1 is the top.",
                        size=None,
                    ),
                ),
                (
                    "listing_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        blank=True,
                        default=list,
                        help_text="Cars that were seen.",
                        size=None,
                    ),
                ),
                ("occurred_at", models.DateTimeField()),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "buyer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="impressions", to="accounts.buyer"
                    ),
                ),
                (
                    "served_list",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="impressions",
                        to="recommendations.servedlist",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["received_at"], name="impression_received"),
                ],
                "constraints": [models.UniqueConstraint(fields=("event_id", "sender"), name="impression_id_of_sender")],
            },
        ),
        migrations.RunPython(add_kind, migrations.RunPython.noop),
    ]
