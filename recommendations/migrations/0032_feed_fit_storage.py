"""Store fits of the feed as they are: PostgreSQL took longer to compress one, and every web process to unpack it, than a
fit takes while there are few events."""

from django.db import migrations

COLUMN = "ALTER TABLE recommendations_feedfit ALTER COLUMN content SET STORAGE"


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0031_feed_judgement")]

    operations = [migrations.RunSQL(f"{COLUMN} EXTERNAL", f"{COLUMN} EXTENDED")]
