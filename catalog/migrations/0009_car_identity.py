"""Which car a listing advertises: its VIN, and a key that all advertisements of one car share."""

from django.db import migrations, models

import catalog.models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0008_their_ids")]

    operations = [
        migrations.AddField(
            model_name="listing",
            name="vin",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="Vehicle identification number, if known.",
                max_length=17,
            ),
        ),
        migrations.AddField(
            model_name="listing",
            name="car_key",
            field=models.GeneratedField(
                db_persist=True,
                expression=catalog.models.CarKey(),
                help_text="The same for every advertisement of one car; empty where that cannot be known.",
                output_field=models.CharField(max_length=80),
            ),
        ),
        migrations.AddIndex(
            model_name="listing",
            index=models.Index(
                condition=models.Q(("car_key", ""), _negated=True), fields=["car_key"], name="listing_one_car"
            ),
        ),
    ]
