"""Whose an event id is, and what was sent under it. Both columns have constant defaults, so no row is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0011_words")]

    operations = [
        migrations.AddField(
            model_name="interaction",
            name="sender",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Whose id it is: an API key (“key:7”) or a buyer (“buyer:7”). Empty: the product's own, or recorded by a release that did not note it.",
                max_length=32,
            ),
        ),
        migrations.AddField(
            model_name="interaction",
            name="content_digest",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="Of what was sent: distinguishes an event sent again from another one under the same id. 0: not known.",
            ),
        ),
    ]
