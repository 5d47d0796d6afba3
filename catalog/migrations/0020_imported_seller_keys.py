from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0019_seller_keys")]

    operations = [
        migrations.AlterField(
            model_name="importedname",
            name="kind",
            field=models.CharField(
                choices=[("make", "Make"), ("model", "Model"), ("seller", "Seller"), ("key", "Seller's key")],
                max_length=6,
            ),
        ),
    ]
