"""Find guests by where they came from, and declared programs. Built without locking; may be run again after a break."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0011_bots")]

    operations = [
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS buyer_with_origin", migrations.RunSQL.noop),
        AddIndexConcurrently(
            "buyer",
            models.Index(
                condition=models.Q(("origin", ""), _negated=True), fields=["created_at"], name="buyer_with_origin"
            ),
        ),
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS buyer_declared_crawler", migrations.RunSQL.noop),
        AddIndexConcurrently(
            "buyer",
            models.Index(
                condition=models.Q(("crawler", ""), _negated=True), fields=["id"], name="buyer_declared_crawler"
            ),
        ),
    ]
