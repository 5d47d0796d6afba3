"""How much each model of car was wanted, day by day: what is kept of events that are removed."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0016_condition_damage_and_photos"),
        ("recommendations", "0029_months"),
    ]

    operations = [
        migrations.CreateModel(
            name="DemandDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("n_events", models.PositiveIntegerField(verbose_name="events")),
                ("n_buyers", models.PositiveIntegerField(verbose_name="buyers")),
                (
                    "car_model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="catalog.carmodel"
                    ),
                ),
                (
                    "kind",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="recommendations.eventkind"
                    ),
                ),
            ],
            options={
                "ordering": ["-day", "car_model", "kind"],
                "constraints": [
                    models.UniqueConstraint(fields=("day", "car_model", "kind"), name="one_row_per_model_kind_and_day")
                ],
            },
        ),
    ]
