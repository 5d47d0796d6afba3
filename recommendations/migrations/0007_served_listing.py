"""Find the lists that held a car; those of the feed hold none. Built without locking the table, which may be large and is always being written."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("recommendations", "0006_taste_map")]

    operations = [
        AddIndexConcurrently(
            "servedlist",
            GinIndex(fields=["listing_ids"], condition=~models.Q(variant="feed"), name="served_listing"),
        ),
    ]
