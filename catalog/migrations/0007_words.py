"""Help texts of import rollbacks and sellers in plain words."""

from django.conf import settings
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0006_jobs_share_one_life"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = []
