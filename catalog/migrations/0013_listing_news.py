"""News of listings for webhooks and alerts, noted by triggers in the transaction of what happened.

Statement triggers with transition tables, as those of the change log: an import pays one statement more. That a listing
was seen again is no news (``forecourt.unnoted``), and the items of the feed are no cars.
"""

import django.db.models.functions.datetime
from django.db import migrations, models

FORWARD = """
CREATE FUNCTION catalog_note_published_listings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_listingnews (listing_id, kind)
    SELECT id, 'published' FROM changed WHERE status = 'live' AND source <> 'items' ORDER BY id;
    RETURN NULL;
END $$;

CREATE FUNCTION catalog_note_listing_news() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_listingnews (listing_id, kind, old_price, new_price)
    SELECT id, kind, CASE WHEN kind = 'price_dropped' THEN old_price END,
        CASE WHEN kind = 'price_dropped' THEN new_price END
    FROM (
        SELECT changed.id, former.price AS old_price, changed.price AS new_price, CASE
            WHEN changed.status = 'live' AND former.status <> 'live' THEN 'published'
            WHEN changed.status = 'sold' AND former.status <> 'sold' THEN 'sold'
            WHEN changed.status IN ('withdrawn', 'expired') AND former.status IN ('live', 'reserved') THEN 'ended'
            WHEN changed.status = 'live' AND changed.price < former.price AND changed.currency = former.currency
                THEN 'price_dropped'
        END AS kind
        FROM changed JOIN former ON former.id = changed.id
        WHERE (changed.status <> former.status OR changed.price < former.price) AND changed.source <> 'items'
    ) AS compared
    WHERE kind IS NOT NULL ORDER BY id;
    RETURN NULL;
END $$;

CREATE TRIGGER listing_news_of_inserted AFTER INSERT ON catalog_listing
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION catalog_note_published_listings();
CREATE TRIGGER listing_news_of_updated AFTER UPDATE ON catalog_listing
    REFERENCING OLD TABLE AS former NEW TABLE AS changed FOR EACH STATEMENT
    WHEN (coalesce(current_setting('forecourt.unnoted', true), '') <> 'on')
    EXECUTE FUNCTION catalog_note_listing_news();
"""

BACKWARD = """
DROP TRIGGER listing_news_of_inserted ON catalog_listing;
DROP TRIGGER listing_news_of_updated ON catalog_listing;
DROP FUNCTION catalog_note_published_listings();
DROP FUNCTION catalog_note_listing_news();
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0012_search_equipment")]

    operations = [
        migrations.CreateModel(
            name="ListingNews",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("listing_id", models.BigIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("published", "On sale, or on sale again"),
                            ("sold", "Sold"),
                            ("ended", "Withdrawn or expired"),
                            ("price_dropped", "Cheaper, while on sale"),
                        ],
                        max_length=15,
                    ),
                ),
                ("old_price", models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True)),
                ("new_price", models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "news of a listing",
                "verbose_name_plural": "news of listings",
                "ordering": ["-id"],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
