"""The manufacturer's name of a colour, and what is known of the tax in a price, as ``catalog.attributes`` declares them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0020_imported_seller_keys")]

    operations = [
        migrations.AddField(
            model_name="listing",
            name="manufacturer_colour",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="What the manufacturer calls the colour, as the seller writes it.",
                max_length=60,
                verbose_name="manufacturer's colour",
            ),
        ),
        migrations.AddField(
            model_name="listing",
            name="vat",
            field=models.CharField(
                blank=True,
                choices=[
                    ("included", "Included"),
                    ("reclaimable", "Included, can be reclaimed"),
                    ("margin", "Margin scheme, cannot be reclaimed"),
                    ("added", "Added to a net price"),
                    ("excluded", "Not included"),
                ],
                db_default="",
                default="",
                max_length=15,
            ),
        ),
    ]
