"""Help texts of import rollbacks and sellers in plain words."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0006_jobs_share_one_life"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="importundo",
            name="n_left",
            field=models.PositiveIntegerField(default=0, help_text="Changed again since.", verbose_name="left alone"),
        ),
        migrations.AlterField(
            model_name="importundo",
            name="n_removed",
            field=models.PositiveIntegerField(
                default=0, help_text="New listings without events or edits.", verbose_name="removed"
            ),
        ),
        migrations.AlterField(
            model_name="seller",
            name="user",
            field=models.ForeignKey(
                blank=True,
                help_text="The account behind the seller; no buyer is recommended a car of their own.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="sellers",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
    ]
