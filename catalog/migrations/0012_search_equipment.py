"""The text that is searched includes the equipment. PostgreSQL cannot change a generated column, so it is made anew; on a
large table that takes as long as writing the table once."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations, models

MARKED = (
    "ÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝàáâãäåçèéêëìíîïñòóôõöùúûüýÿĀāĂăĄąĆćĈĉĊċČčĎďĒēĔĕĖėĘęĚěĜĝĞğĠġĢģĤ"
    "ĥĨĩĪīĬĭĮįİĴĵĶķĹĺĻļĽľŃńŅņŇňŌōŎŏŐőŔŕŖŗŘřŚśŜŝŞşŠšŢţŤťŨũŪūŬŭŮůŰűŲųŴŵŶŷŸŹźŻżŽžſƠơƯưǍǎǏǐǑǒǓǔǕǖ"
    "ǗǘǙǚǛǜǞǟǠǡǦǧǨǩǪǫǬǭǰǴǵǸǹǺǻȀȁȂȃȄȅȆȇȈȉȊȋȌȍȎȏȐȑȒȓȔȕȖȗȘșȚțȞȟȦȧȨȩȪȫȬȭȮȯȰȱȲȳøØłŁđĐħĦıŧŦ"
)
PLAIN = (
    "AAAAAACEEEEIIIINOOOOOUUUUYaaaaaaceeeeiiiinooooouuuuyyAaAaAaCcCcCcCcDdEeEeEeEeEeGgGgGgGgH"
    "hIiIiIiIiIJjKkLlLlLlNnNnNnOoOoOoRrRrRrSsSsSsSsTtTtUuUuUuUuUuUuWwYyYZzZzZzsOoUuAaIiOoUuUu"
    "UuUuUuAaAaGgKkOoOojGgNnAaAaAaEeEeIiIiOoOoRrRrUuUuSsTtHhAaEeOoOoOoOoYyoOlLdDhHitT"
)

# array_to_string is only "stable", since some types are written by settings; texts are not, and a generated column
# takes immutable functions only
WORDS_OF = """
CREATE OR REPLACE FUNCTION catalog_words_of(texts varchar[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT array_to_string(texts, ' . ') $$
"""


def folded(expression):
    return models.Func(
        expression,
        models.Value(MARKED),
        models.Value(PLAIN),
        function="translate",
        output_field=models.TextField(),
    )


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0011_feeds"),
    ]

    operations = [
        migrations.RunSQL(WORDS_OF, "DROP FUNCTION catalog_words_of(varchar[])"),
        migrations.RemoveIndex(model_name="listing", name="listing_search_text"),
        migrations.RemoveField(model_name="listing", name="search_text"),
        migrations.AddField(
            model_name="listing",
            name="search_text",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.contrib.postgres.search.CombinedSearchVector(
                    django.contrib.postgres.search.CombinedSearchVector(
                        django.contrib.postgres.search.SearchVector(
                            folded(models.F("title")), config="simple", weight="A"
                        ),
                        "||",
                        django.contrib.postgres.search.SearchVector(
                            folded(models.F("description")), config="simple", weight="C"
                        ),
                        django.contrib.postgres.search.SearchConfig("simple"),
                    ),
                    "||",
                    django.contrib.postgres.search.SearchVector(
                        folded(
                            models.Func(models.F("tags"), function="catalog_words_of", output_field=models.TextField())
                        ),
                        config="simple",
                        weight="B",
                    ),
                    django.contrib.postgres.search.SearchConfig("simple"),
                ),
                output_field=django.contrib.postgres.search.SearchVectorField(),
            ),
        ),
        migrations.AddIndex(
            model_name="listing",
            index=django.contrib.postgres.indexes.GinIndex(fields=["search_text"], name="listing_search_text"),
        ),
    ]
