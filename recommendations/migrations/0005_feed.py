"""What the feed has learned."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recommendations", "0004_rules_gate_and_evaluations"),
    ]

    operations = [
        migrations.CreateModel(
            name="FeedFit",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "number",
                    models.BigIntegerField(
                        help_text="Of the fit; what a process has in memory is as good as its number."
                    ),
                ),
                ("content", models.BinaryField(help_text="Its arrays, as npz.")),
                ("fitted_at", models.DateTimeField(help_text="When it was made, or last found to be up to date.")),
                ("seconds", models.FloatField(help_text="What the fit took.")),
                ("n_shown", models.PositiveBigIntegerField(default=0, help_text="Items shown that it knows of.")),
                (
                    "n_actions",
                    models.PositiveBigIntegerField(default=0, help_text="Likes and dislikes that it knows of."),
                ),
            ],
            options={
                "verbose_name": "fit of the feed",
                "verbose_name_plural": "fits of the feed",
            },
        ),
    ]
