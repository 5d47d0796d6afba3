"""Whether an event came from the list it names. The column has a constant default, so no row is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0013_event_id_per_sender")]

    operations = [
        migrations.AddField(
            model_name="interaction",
            name="attribution",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "Names no list"),
                    ("pending", "The list is not written yet"),
                    ("checked", "From that list"),
                    ("unknown_list", "There is no such list"),
                    ("other_buyer", "The list of another buyer"),
                    ("outside", "Not in that list, or not as far down"),
                ],
                db_default="",
                default="",
                editable=False,
                help_text="Whether the event came from the list it named. Empty also for events of earlier releases.",
                max_length=12,
            ),
        ),
    ]
