"""Find the events whose list is not written yet. Built without locking the log; may be run again after a break."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("recommendations", "0014_attribution")]

    operations = [
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS interaction_list_pending", migrations.RunSQL.noop),
        AddIndexConcurrently(
            "interaction",
            models.Index(
                condition=models.Q(("attribution", "pending")), fields=["id"], name="interaction_list_pending"
            ),
        ),
    ]
