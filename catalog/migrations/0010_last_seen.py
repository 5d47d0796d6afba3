"""When a delivery had a listing last, and the deliveries that did not have it.

That a listing was seen again is no change of it: an update with ``forecourt.unnoted`` on leaves no lines in the change
log, so that a nightly delivery without news costs its readers nothing. Inserts and deletes are always noted.
"""

from django.db import migrations, models

FORWARD = """
DROP TRIGGER listing_updated ON catalog_listing;
CREATE TRIGGER listing_updated AFTER UPDATE ON catalog_listing
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    WHEN (coalesce(current_setting('forecourt.unnoted', true), '') <> 'on')
    EXECUTE FUNCTION catalog_note_listing_changes();
"""
BACKWARD = """
DROP TRIGGER listing_updated ON catalog_listing;
CREATE TRIGGER listing_updated AFTER UPDATE ON catalog_listing
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION catalog_note_listing_changes();
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0009_car_identity")]

    operations = [
        migrations.AddField(
            model_name="importrun",
            name="absence",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "Not asked: the file is not said to be complete"),
                    ("counted", "Counted as missing"),
                    ("waiting", "More are missing than usual: waits for an operator"),
                    ("confirmed", "An operator ended them"),
                    ("kept", "An operator kept them"),
                    ("overtaken", "A later delivery decided"),
                ],
                default="",
                editable=False,
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="importrun",
            name="listings_ended",
            field=models.PositiveIntegerField(default=0, help_text="Of those, the ones that ended because of it."),
        ),
        migrations.AddField(
            model_name="importrun",
            name="listings_missing",
            field=models.PositiveIntegerField(
                default=0, help_text="Of a complete delivery: listings on offer that it does not have."
            ),
        ),
        migrations.AddField(
            model_name="importrun",
            name="seen_at",
            field=models.DateTimeField(
                editable=False,
                help_text="The time of the delivery, which its listings have as time last seen.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="listing",
            name="last_seen_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When a delivery of its source had it last; it expires so many days after that.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="listing",
            name="missed_runs",
            field=models.PositiveSmallIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="Complete deliveries in a row without it. One that ended with more than none ended because of them.",
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
