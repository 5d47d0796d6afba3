"""Note the listings of a seller, make or model whose own row changed, as if they had been written themselves.

What memory holds of a listing includes the kind of its seller and the names of its make and model.
"""

from django.db import migrations

RELATIONS = {  # table -> column of a listing that points to it, and its columns that memory holds
    "catalog_seller": ("seller_id", ("kind", "user_id")),
    "catalog_make": ("make_id", ("slug", "name")),
    "catalog_carmodel": ("car_model_id", ("slug", "name")),
}
FORWARD = """
CREATE FUNCTION $table_notes_listings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_listingchange (listing_id) SELECT listing.id
    FROM new_rows JOIN old_rows USING (id) JOIN catalog_listing AS listing ON listing.$pointer = new_rows.id
    WHERE ($new) IS DISTINCT FROM ($old);
    RETURN NULL;
END $$;
CREATE TRIGGER $table_updated AFTER UPDATE ON $table
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT
    EXECUTE FUNCTION $table_notes_listings();
"""
BACKWARD = "DROP TRIGGER $table_updated ON $table; DROP FUNCTION $table_notes_listings();"


def for_each_relation(statements: str) -> str:
    made = []
    for table, (pointer, columns) in RELATIONS.items():
        names = {
            "$table": table,
            "$pointer": pointer,
            "$new": ", ".join(f"new_rows.{column}" for column in columns),
            "$old": ", ".join(f"old_rows.{column}" for column in columns),
        }
        statement = statements
        for placeholder, name in names.items():
            statement = statement.replace(placeholder, name)
        made.append(statement)
    return "".join(made)


class Migration(migrations.Migration):
    dependencies = [("catalog", "0014_text_defaults")]

    operations = [migrations.RunSQL(for_each_relation(FORWARD), for_each_relation(BACKWARD))]
