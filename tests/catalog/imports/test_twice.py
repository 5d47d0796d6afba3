"""Files in UTF-8 that was taken for Windows-1252 and encoded again."""

import pytest

from catalog.imports import twice
from catalog.imports.reading import ImportOptions, open_reading

TEXT = "id;marque;modèle;prix;énergie;ville\n1;Citroën;C3;8990;Électrique;Orléans\n2;Škoda;Fabia;7990;Essence;Nîmes\n"
RUSSIAN = "id;Марка;Модель;Цена;Город\n1;Лада;Веста;890000;Москва\n"


def encoded_twice(text):
    return "".join(map(shown, text.encode())).encode()


def shown(byte):
    """A byte as Windows-1252 shows it, and as it is where that leaves it open."""
    return bytes([byte]).decode("cp1252", "replace").replace("\ufffd", chr(byte))


def read(tmp_path, content, name="cars.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    with open_reading(path, ImportOptions()) as reading:
        return [reading.reader.read(record.cells).row for record in reading.rows]


@pytest.mark.parametrize("text", [TEXT, RUSSIAN, "\ufeff" + TEXT, "“" + TEXT])
def test_letters_that_were_encoded_twice_are_read_as_they_were_written(tmp_path, text):
    once, again = read(tmp_path, text.encode()), read(tmp_path, encoded_twice(text))
    assert again == once
    assert again[0].place in ("Orléans", "Москва")


def test_letters_that_were_encoded_once_come_through_beside_them(tmp_path):
    rows = read(tmp_path, encoded_twice(TEXT) + "3;Citroën;C4;9990;Essence;Besançon → Łódź\n".encode())
    assert [row.place for row in rows] == ["Orléans", "Nîmes", "Besançon → Łódź"]


def test_json_is_read_likewise(tmp_path):
    text = '[{"id": "1", "make": "Citroën", "model": "C3", "price": 8990, "city": "Orléans"}]'
    assert read(tmp_path, encoded_twice(text), "cars.json")[0].place == "Orléans"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_blocks_may_end_within_a_letter(size):
    decoder, content = twice._Decoder(), encoded_twice(TEXT)
    blocks = [content[start : start + size] for start in range(0, len(content), size)]
    assert "".join(map(decoder.decode, blocks)) + decoder.decode(b"", True) == TEXT


@pytest.mark.parametrize("text", ["São Paulo, Ñandú, Århus, Ångström", "Città, PIÙ, Ãô", "Прибыль, ÄÖÜ", "GRÖẞE Ã© "])
def test_texts_of_such_letters_are_left_alone(text):
    assert not twice.is_encoded_twice(text)
