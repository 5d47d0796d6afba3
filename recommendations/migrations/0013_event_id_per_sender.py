"""An event id is unique per sender. The index is built without locking the log, which may be large and is always being
written; only then the old one goes, which takes a moment. May be run again after it was broken off."""

from django.db import migrations, models

CREATE = """
CREATE UNIQUE INDEX CONCURRENTLY event_id_of_sender
ON recommendations_interaction (event_id varchar_pattern_ops, sender varchar_ops)
"""
DROP = "DROP INDEX CONCURRENTLY IF EXISTS event_id_of_sender"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("recommendations", "0012_event_senders")]

    operations = [
        migrations.RunSQL(DROP, migrations.RunSQL.noop),  # one that was begun and is not valid
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(CREATE, DROP)],
            [
                migrations.AddConstraint(
                    model_name="interaction",
                    constraint=models.UniqueConstraint(
                        fields=["event_id", "sender"],
                        name="event_id_of_sender",
                        opclasses=["varchar_pattern_ops", "varchar_ops"],
                    ),
                )
            ],
        ),
        migrations.AlterField(
            model_name="interaction",
            name="event_id",
            field=models.CharField(
                help_text="Made by the sender, so that an event sent twice counts once.", max_length=64
            ),
        ),
    ]
