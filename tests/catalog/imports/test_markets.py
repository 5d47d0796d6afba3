"""Files whose language names the country: their bare "kr" and bare numbers are money of that country."""

import pytest

from catalog.imports.reading import ImportOptions, open_reading

FILES = {
    "SEK": "Annons-ID;Märke;Modell;Årsmodell;Miltal;Pris;Växellåda\nS1;Volvo;V60;2018;8 500 mil;189 000 kr;Automat\n",
    "NOK": "Finn-kode;Merke;Modell;Årsmodell;Km.stand;Pris;Girkasse\nS1;Volvo;V60;2018;85 000 km;189 000 kr;Automat\n",
    "DKK": "Annonce nr;Mærke;Model;Årgang;Km;Pris;Gearkasse\nS1;Volvo;V60;2018;85.000;189.000 kr.;Automatisk\n",
    "CZK": "ID inzerátu;Značka;Model;Rok výroby;Najeto;Cena;Převodovka\nS1;Volvo;V60;2018;85 000 km;189 000;Automat\n",
    "PLN": "ID;Marka;Model;Rok produkcji;Przebieg;Cena;Skrzynia biegów\nS1;Volvo;V60;2018;85 000 km;189 000;Automat\n",
    "RUB": "ID;Марка;Модель;Год выпуска;Пробег;Цена;Коробка\nS1;Volvo;V60;2018;85000;189 000;Автомат\n",
}  # fmt: skip


@pytest.mark.parametrize("currency", FILES)
def test_a_bare_amount_is_money_of_the_country_whose_language_it_is(tmp_path, currency):
    path = tmp_path / "stock.csv"
    path.write_text(FILES[currency], encoding="utf-8")
    with open_reading(path, ImportOptions()) as reading:
        (row,) = [reading.reader.read(record.cells).row for record in reading.rows]
    assert (row.external_id, row.make, row.year, row.gearbox) == ("S1", "Volvo", 2018, "automatic")
    assert (float(row.price), row.currency, row.mileage_km) == (189_000, currency, 85_000)
