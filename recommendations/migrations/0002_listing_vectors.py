"""The partitioned table of listing vectors; each ranker version gets a partition when it is trained."""

from django.db import migrations

FORWARD = """
CREATE TABLE recommendations_listingvector (
    version_id bigint NOT NULL,
    listing_id bigint NOT NULL,
    vector vector(128) NOT NULL,
    digest bigint NOT NULL,
    PRIMARY KEY (version_id, listing_id)
) PARTITION BY LIST (version_id);

CREATE FUNCTION recommendations_note_vector_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_listingchange (listing_id) SELECT listing_id FROM changed;
    RETURN NULL;
END $$;

CREATE TRIGGER vector_inserted AFTER INSERT ON recommendations_listingvector
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION recommendations_note_vector_changes();
CREATE TRIGGER vector_updated AFTER UPDATE ON recommendations_listingvector
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION recommendations_note_vector_changes();
"""

BACKWARD = """
DROP TABLE recommendations_listingvector;
DROP FUNCTION recommendations_note_vector_changes();
"""


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0001_initial"), ("catalog", "0002_listing_changes")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
