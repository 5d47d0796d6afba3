"""A car that its odometer names is the same in a file without ids as everywhere else. The table is written once more."""

from django.db import migrations, models

import catalog.models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0021_manufacturer_colour_and_vat")]

    operations = [
        # The expression of a generated column cannot be changed, so the column is made anew, and its index with it.
        migrations.RemoveIndex(model_name="listing", name="listing_one_car"),
        migrations.RemoveField(model_name="listing", name="car_key"),
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
