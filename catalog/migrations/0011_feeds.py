"""Suppliers' profiles, and the runs that belong to them."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0010_last_seen"),
    ]

    operations = [
        migrations.AddField(
            model_name="importrun",
            name="is_fetched",
            field=models.BooleanField(default=False, editable=False, help_text="Its file is fetched from the feed."),
        ),
        migrations.CreateModel(
            name="Feed",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80, unique=True)),
                (
                    "is_enabled",
                    models.BooleanField(
                        default=True, help_text="Only then it is fetched by itself.", verbose_name="enabled"
                    ),
                ),
                (
                    "source",
                    models.SlugField(
                        help_text="Whose listing ids these are. Keep it: cars are known by it.", max_length=80
                    ),
                ),
                (
                    "origin",
                    models.CharField(
                        choices=[
                            ("upload", "Files are uploaded"),
                            ("url", "A web address (https)"),
                            ("folder", "A folder of this machine"),
                        ],
                        default="upload",
                        max_length=10,
                    ),
                ),
                (
                    "address",
                    models.CharField(
                        blank=True,
                        help_text="https://… or file names below IMPORT_FOLDER, such as north/*.csv; the newest is read.",
                        max_length=1000,
                    ),
                ),
                ("username", models.CharField(blank=True, max_length=200)),
                (
                    "sealed_password",
                    models.BinaryField(blank=True, default=b"", help_text="Encrypted with the site's key."),
                ),
                (
                    "every_minutes",
                    models.PositiveIntegerField(
                        default=1440,
                        help_text="How often it comes. Where files are uploaded: how often one is expected.",
                    ),
                ),
                (
                    "options",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        editable=False,
                        help_text="How its files are read, as an import's options.",
                    ),
                ),
                ("etag", models.CharField(blank=True, editable=False, max_length=255)),
                ("last_modified", models.CharField(blank=True, editable=False, max_length=255)),
                ("next_run_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "alert_email",
                    models.EmailField(
                        blank=True,
                        help_text="Who is written to when it fails, shrinks, waits for a decision or stops coming.",
                        max_length=254,
                    ),
                ),
                (
                    "alerted",
                    models.CharField(
                        blank=True, editable=False, help_text="The troubles last written about.", max_length=200
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        blank=True,
                        help_text="The one seller of all its cars; empty where a column of the file says who sells.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="feeds",
                        to="catalog.seller",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.AddField(
            model_name="importrun",
            name="feed",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="runs",
                to="catalog.feed",
            ),
        ),
        migrations.AddConstraint(
            model_name="feed",
            constraint=models.CheckConstraint(
                condition=models.Q(("every_minutes__gte", 1)), name="feed_comes_sometimes"
            ),
        ),
    ]
