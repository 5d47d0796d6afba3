"""Exploration as positions per list in place of a share of them, and the propensities of what lists show."""

import django.contrib.postgres.fields
import django.core.validators
from django.db import migrations, models


def renamed(rules, old, new, convert, k):
    """Rules with one of them under another name, at any depth; ``k`` is the length of the list they are about."""
    if isinstance(rules, list):
        return [renamed(one, old, new, convert, k) for one in rules]
    if not isinstance(rules, dict):
        return rules
    own_k = rules.get("k", k)
    k = own_k if isinstance(own_k, int | float) and own_k > 0 else k
    return {
        (new if name == old else name): convert(value, k)
        if name == old and isinstance(value, int | float)
        else renamed(value, old, new, convert, k)
        for name, value in rules.items()
    }


def as_positions(share, k):
    return round(share * k, 3)


def as_share(positions, k):
    return min(positions / k, 1.0)


def rename_everywhere(apps, old, new, convert):
    """In placements, and in the rules that experiments and offline tests have stored as JSON."""
    placement = apps.get_model("recommendations", "Placement")
    for row in placement.objects.all():
        setattr(row, new, convert(getattr(row, old), max(row.k, 1)))
        row.save(update_fields=[new])
    for name, columns in (("Experiment", ["variants"]), ("WeightTrial", ["before", "after"])):
        for row in apps.get_model("recommendations", name).objects.select_related("placement"):
            for column in columns:
                k = max(row.placement.k, 1)
                setattr(row, column, renamed(getattr(row, column), old, new, convert, k))
            row.save(update_fields=columns)


def to_positions(apps, schema_editor):
    rename_everywhere(apps, "exploration_share", "exploration_positions", as_positions)


def to_share(apps, schema_editor):
    rename_everywhere(apps, "exploration_positions", "exploration_share", as_share)


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0018_merchandising_rules")]

    operations = [
        migrations.AddField(
            model_name="placement",
            name="exploration_positions",
            field=models.FloatField(
                default=1.0,
                help_text="Positions of each list for cars that may suit, to learn whether they do; 0.5 is one in two "
                "lists on average. The same for every buyer, whatever is known of them.",
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(1000),
                ],
            ),
        ),
        migrations.RunPython(to_positions, to_share),
        migrations.RemoveField(model_name="placement", name="exploration_share"),
        migrations.AddField(
            model_name="servedlist",
            name="propensities",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.FloatField(),
                blank=True,
                help_text="How likely each car was to stand where it does, given those above it; empty where it was not "
                "noted.",
                null=True,
                size=None,
            ),
        ),
    ]
