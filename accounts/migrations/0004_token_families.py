"""Logins by token as rows, so that one token buys one successor and a login ends at once."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_spent_visitor_keys")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="logged_out_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="Sessions and tokens from before are over.", null=True
            ),
        ),
        migrations.CreateModel(
            name="TokenFamily",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "newest_jti",
                    models.CharField(help_text="Of the one refresh token that can still be spent.", max_length=255),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "ended_at",
                    models.DateTimeField(blank=True, help_text="Logged out, or a token was spent twice.", null=True),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="token_families",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "login by token",
                "verbose_name_plural": "logins by token",
                "ordering": ["-created_at"],
            },
        ),
    ]
