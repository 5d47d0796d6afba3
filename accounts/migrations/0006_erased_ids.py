"""That buyers of external ids were erased, as keyed digests."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_words"),
    ]

    operations = [
        migrations.CreateModel(
            name="ErasedId",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("erased_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "verbose_name": "erased id",
                "ordering": ["-erased_at"],
            },
        ),
    ]
