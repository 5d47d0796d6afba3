"""A table that keeps event ids unique over all months, and what writes it: triggers, of the next migration."""

from django.db import migrations, models

KEYS = """
CREATE OR REPLACE FUNCTION recommendations_key_of_event(log text, sender text, event_id text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT md5(log || '/' || sender || '/' || event_id)::uuid $$;

CREATE OR REPLACE FUNCTION recommendations_note_event_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO recommendations_eventkey (key)
        SELECT recommendations_key_of_event(TG_TABLE_NAME, sender, event_id) FROM noted ORDER BY 1;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION recommendations_forget_event_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM recommendations_eventkey
        WHERE key IN (SELECT recommendations_key_of_event(TG_TABLE_NAME, sender, event_id) FROM gone);
    RETURN NULL;
END $$;
"""
WITHOUT_KEYS = """
DROP FUNCTION recommendations_note_event_keys();
DROP FUNCTION recommendations_forget_event_keys();
DROP FUNCTION recommendations_key_of_event(text, text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0027_experiments_with_versions")]

    operations = [
        migrations.CreateModel(
            name="EventKey",
            fields=[("key", models.UUIDField(primary_key=True, serialize=False))],
            options={"verbose_name": "event key"},
        ),
        migrations.RunSQL(KEYS, WITHOUT_KEYS),
    ]
