"""Help texts of buyers in plain words."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_token_families"),
    ]

    operations = [
        migrations.AlterField(
            model_name="buyer",
            name="is_personalised",
            field=models.BooleanField(default=True, help_text="Off: the buyer gets the lists of a new visitor."),
        ),
        migrations.AlterField(
            model_name="buyer",
            name="questionnaire",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="What the buyer answered: budget, bodies, fuels, gearboxes, makes, use.",
            ),
        ),
    ]
