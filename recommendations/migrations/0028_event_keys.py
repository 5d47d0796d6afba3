"""A table that keeps event ids unique over all months, and what writes it: triggers, of the next migration.

A key without an event (of rows that were removed beside the triggers) does no harm: the next event of that id takes it.
So a key that is there already means nothing by itself, and the log is asked; the keys are locked before, or two requests
that do not see each other's rows would both take one.
"""

from django.db import migrations, models

KEYS = """
CREATE OR REPLACE FUNCTION recommendations_key_of_event(log text, sender text, event_id text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT md5(log || '/' || sender || '/' || event_id)::uuid $$;

CREATE OR REPLACE FUNCTION recommendations_note_event_keys() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    n_noted bigint;
    n_made bigint;
    repeated_sender text;
    repeated_id text;
BEGIN
    INSERT INTO recommendations_eventkey (key)
        SELECT recommendations_key_of_event(TG_TABLE_NAME, sender, event_id) FROM noted ORDER BY 1
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS n_made = ROW_COUNT;
    SELECT count(*) INTO n_noted FROM noted;
    IF n_made = n_noted THEN
        RETURN NULL;
    END IF;
    PERFORM FROM recommendations_eventkey
        WHERE key IN (SELECT recommendations_key_of_event(TG_TABLE_NAME, sender, event_id) FROM noted)
        ORDER BY key FOR UPDATE;
    INSERT INTO recommendations_eventkey (key)  -- those that went with their event until we had the lock
        SELECT recommendations_key_of_event(TG_TABLE_NAME, sender, event_id) FROM noted ORDER BY 1
        ON CONFLICT DO NOTHING;
    EXECUTE format(
        'SELECT sender, event_id FROM %s AS stored '
        'JOIN (SELECT DISTINCT sender, event_id FROM noted) AS asked USING (sender, event_id) '
        'GROUP BY sender, event_id HAVING count(*) > 1 LIMIT 1', TG_RELID::regclass
    ) INTO repeated_sender, repeated_id;
    IF repeated_id IS NOT NULL THEN
        RAISE unique_violation USING
            MESSAGE = format('%s has an event %L of %L already', TG_TABLE_NAME, repeated_id, repeated_sender),
            TABLE = 'recommendations_eventkey', CONSTRAINT = 'recommendations_eventkey_pkey';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION recommendations_forget_event_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM recommendations_eventkey
        WHERE key IN (SELECT recommendations_key_of_event(TG_TABLE_NAME, sender, event_id) FROM gone);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION recommendations_forget_keys_without_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM recommendations_eventkey AS kept
        WHERE NOT EXISTS (SELECT FROM recommendations_interaction AS event WHERE kept.key =
            recommendations_key_of_event('recommendations_interaction', event.sender, event.event_id))
        AND NOT EXISTS (SELECT FROM recommendations_impression AS event WHERE kept.key =
            recommendations_key_of_event('recommendations_impression', event.sender, event.event_id));
    RETURN NULL;
END $$;
"""
WITHOUT_KEYS = """
DROP FUNCTION recommendations_forget_keys_without_events();
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
