"""A second vector of each listing: where it lies among similar cars. Rows that exist are filled by a beat job."""

import pgvector.django.vector
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0015_pending_attributions")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE recommendations_listingvector ADD COLUMN likeness vector(64)",
            "ALTER TABLE recommendations_listingvector DROP COLUMN likeness",
            state_operations=[
                migrations.AddField(
                    "listingvector",
                    "likeness",
                    pgvector.django.vector.VectorField(
                        dimensions=64,
                        help_text="Where the listing lies among similar cars; empty in rows of earlier releases, until a job fills it.",
                        null=True,
                    ),
                )
            ],
        )
    ]
