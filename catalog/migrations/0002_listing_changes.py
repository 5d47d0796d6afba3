"""Note every written or removed listing in ``catalog_listingchange``, whoever wrote it and however.

Statement triggers with transition tables: one insert per statement, so a bulk import pays next to nothing. The
log is insert-only, so two transactions never wait for each other over it.
"""

from django.db import migrations

FORWARD = """
ALTER TABLE catalog_listingchange
    ALTER COLUMN transaction_id SET DEFAULT (pg_current_xact_id()::text::bigint),
    ALTER COLUMN changed_at SET DEFAULT clock_timestamp();

CREATE FUNCTION catalog_note_listing_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_listingchange (listing_id) SELECT id FROM changed;
    RETURN NULL;
END $$;

CREATE TRIGGER listing_inserted AFTER INSERT ON catalog_listing
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION catalog_note_listing_changes();
CREATE TRIGGER listing_updated AFTER UPDATE ON catalog_listing
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION catalog_note_listing_changes();
CREATE TRIGGER listing_deleted AFTER DELETE ON catalog_listing
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION catalog_note_listing_changes();
"""

BACKWARD = """
DROP TRIGGER listing_inserted ON catalog_listing;
DROP TRIGGER listing_updated ON catalog_listing;
DROP TRIGGER listing_deleted ON catalog_listing;
DROP FUNCTION catalog_note_listing_changes();
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
