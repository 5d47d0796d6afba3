"""A visitor key ends with a login or logout, so that it may stand for several guests, one after another."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_audit_entry")]

    operations = [
        migrations.AddField(
            model_name="buyer",
            name="spent_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When a login or logout ended what the visitor key stood for: the key now makes a new guest.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="buyer",
            name="visitor_key",
            field=models.CharField(
                blank=True,
                db_index=True,
                help_text="The random key in a guest's browser.",
                max_length=64,
                null=True,
            ),
        ),
        migrations.AddConstraint(
            model_name="buyer",
            constraint=models.UniqueConstraint(
                condition=models.Q(merged_into=None, spent_at=None),
                fields=("visitor_key",),
                name="buyer_visitor_key_unique_until_spent",
            ),
        ),
    ]
