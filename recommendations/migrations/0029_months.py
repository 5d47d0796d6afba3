"""The log of events, impressions and served lists become tables kept by month, in place and with their rows.

The release before serves meanwhile. Its statement that writes down what users said of items of the feed needs a unique
index over all months, which there can't be: where the feed has items, the log of events is left as it is, and the next
night's task, or ``manage.py make_months``, turns it into parts once this release serves. Each step may be run again.
"""

from django.db import migrations
from django.utils import timezone

TRIGGERS = """
CREATE OR REPLACE TRIGGER event_keys_noted AFTER INSERT ON {table} REFERENCING NEW TABLE AS noted
    FOR EACH STATEMENT EXECUTE FUNCTION recommendations_note_event_keys();
CREATE OR REPLACE TRIGGER event_keys_forgotten AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION recommendations_forget_event_keys();
CREATE OR REPLACE TRIGGER event_keys_without_events AFTER TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION recommendations_forget_keys_without_events();
"""
NAMES = ("event_keys_noted", "event_keys_forgotten", "event_keys_without_events")
OLD_NAMES = {
    "recommendations_interaction_own_1": "ALTER INDEX recommendations_interaction_own_1 RENAME TO event_id_of_sender",
    "recommendations_impression_own_1": "ALTER TABLE recommendations_impression ADD CONSTRAINT impression_id_of_sender "
    "UNIQUE USING INDEX recommendations_impression_own_1",
}
LOGS = ("recommendations_interaction", "recommendations_impression")


def add_triggers(apps, schema_editor):
    """From here on every new event has its key; those that are there get theirs before the table is partitioned."""
    from web.postgres.months import patiently

    for table in LOGS:
        patiently(lambda cursor, table=table: cursor.execute(TRIGGERS.format(table=table)))


def drop_triggers(apps, schema_editor):
    from web.postgres.months import patiently

    for table in LOGS:
        for name in NAMES:
            patiently(
                lambda cursor, name=name, table=table: cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            )


def keep_by_month(apps, schema_editor):
    from recommendations.upkeep import months

    now = timezone.now()
    has_feed = apps.get_model("catalog", "Listing").objects.filter(source="items").exists()
    for monthly in months.TABLES:
        if monthly is months.EVENTS and has_feed:
            continue
        months.keep_by_month(monthly, now)
        months.make_ahead(monthly, now)


def keep_whole(apps, schema_editor):
    from recommendations.upkeep import months
    from web.postgres.months import merge

    for monthly in months.TABLES:
        merge(monthly)
    with schema_editor.connection.cursor() as cursor:
        for index, statement in OLD_NAMES.items():
            cursor.execute("SELECT to_regclass(%s)", [index])
            if cursor.fetchone()[0]:  # it has not its name again since a run that was cut short
                cursor.execute(statement)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("catalog", "0016_condition_damage_and_photos"),
        ("recommendations", "0028_event_keys"),
    ]

    operations = [
        migrations.RunPython(add_triggers, drop_triggers),
        migrations.RunPython(keep_by_month, keep_whole),
    ]
