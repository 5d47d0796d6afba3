"""Experiments whose variants name a ranker version, or make lists together; and who chose the cars of such lists."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0026_impressions")]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="mode",
            field=models.CharField(
                choices=[
                    ("split", "Each buyer gets the lists of one variant"),
                    ("interleaved", "Two variants make each list together"),
                ],
                db_default="split",
                default="split",
                help_text="Together answers with far fewer buyers which of two is liked more, and not how much more "
                "would be done: its variants take turns in each list, and a click or contact counts for the one that "
                "chose the car.",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="servedlist",
            name="teams",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="Of a list that two variants made together: a letter for each car, a where the control "
                "chose it, b where the other did, - where a rule did.",
            ),
        ),
    ]
