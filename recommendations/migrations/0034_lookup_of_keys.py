"""Look one event key up by its index, whatever size the table had when PostgreSQL last counted it."""

from django.db import migrations

# Not inlined, because of its setting: a kept plan of the statement around it would read a table of one page whole, and
# go on with it while the table grows.
LOOKUP = """
CREATE OR REPLACE FUNCTION recommendations_is_key_noted(wanted uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    RETURN EXISTS (SELECT FROM recommendations_eventkey WHERE key = wanted);
END $$;
"""
NO_LOOKUP = "DROP FUNCTION recommendations_is_key_noted(uuid);"


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0033_offline_test_words")]

    operations = [migrations.RunSQL(LOOKUP, NO_LOOKUP)]
