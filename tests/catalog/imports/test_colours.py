"""Colours of files: the plain one, and what the manufacturer calls it."""

import pytest

from catalog.imports.colours import UNKNOWN_COLOUR, colour_of, manufacturer_colour_of
from catalog.imports.reading import ImportOptions, open_reading


def read(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with open_reading(path, ImportOptions()) as reading:
        return [reading.reader.read(record.cells) for record in reading.rows]


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("Schwarz Metallic", "black"),
        ("White / Black", "white"),
        ("Black and White", "black"),
        ("Weiß", "white"),
        ("Moonstone", ""),
        ("other", ""),
        ("Navarrablau", "blue"),
        ("Tornadorot met.", "red"),
        ("Mörkblå", "blue"),
        ("Hellgrau", "grey"),
        ("Sapphire Black", "black"),
        ("Black Sapphire", "black"),
        ("Champagne Silver", "silver"),
        ("White Silver Metallic", "silver"),
        ("Gris Platine", "grey"),
        ("Noir Perla Nera", "black"),
        ("Azul Noche", "blue"),
        ("Steel Blue", "blue"),
        ("Emerald", "green"),
        ("Magnetic", "grey"),
        ("Champagne", "beige"),
    ],
)
def test_colours_are_plain_english_words(text, colour):
    assert colour_of(text) == colour


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Tornado Red", "Tornado Red"),
        ("Alpinweiß", "Alpinweiß"),
        ("Mineralgrau  Metallic", "Mineralgrau Metallic"),
        ("Bleu Abysse", "Bleu Abysse"),
        ("Moonstone", "Moonstone"),
        ("Ibis White / Black", "Ibis White / Black"),
        ("475 Black Sapphire", "475 Black Sapphire"),
        ("Red", ""),
        ("Dark blue metallic", ""),
        ("Dunkelblau", ""),
        ("Schwarz (met.)", ""),
        ("White / Black", ""),
        ("Gris métallisé", ""),
        ("other", ""),
        ("Automatic", ""),
        ("12", ""),
        ("", ""),
    ],
)
def test_what_the_manufacturer_calls_a_colour_is_more_than_a_plain_word(text, name):
    assert manufacturer_colour_of(text) == name


@pytest.mark.parametrize(
    ("heading", "cell", "colour", "name"),
    [
        ("Colour", "Tornado Red", "red", "Tornado Red"),
        ("Colour", "Red", "red", ""),
        ("Manufacturer Colour", "Tornado Red", "red", "Tornado Red"),
        ("Farbe (Hersteller)", "Alpinweiß", "white", "Alpinweiß"),
        ("Herstellerfarbbezeichnung", "Mineralgrau Metallic", "grey", "Mineralgrau Metallic"),
        ("colour name", "Florett", "silver", "Florett"),
        ("Couleur constructeur", "Gris Platine", "grey", "Gris Platine"),
        ("Nazwa koloru", "Red", "red", "Red"),
        ("Exterior Color", "Moonstone", "", "Moonstone"),
    ],
)
def test_a_colour_and_its_name_say_each_other(tmp_path, heading, cell, colour, name):
    reading = read(tmp_path, f"id;make;model;price;{heading}\n1;VW;Golf;9000;{cell}\n")[0]
    assert (reading.row.colour, reading.row.manufacturer_colour) == (colour, name)


def test_a_column_of_names_goes_beside_the_colour_and_an_unknown_colour_can_be_taught(tmp_path):
    text = "id;make;model;price;Farbe;Farbbezeichnung\n1;VW;Golf;9000;Grau;Moonstone\n2;VW;Golf;9000;Mauritius;\n"
    known, unknown = read(tmp_path, text)
    assert (known.row.colour, known.row.manufacturer_colour, known.problems) == ("grey", "Moonstone", ())
    assert (unknown.row.colour, unknown.row.manufacturer_colour) == ("", "Mauritius")
    assert [problem.reason for problem in unknown.problems] == [UNKNOWN_COLOUR]
