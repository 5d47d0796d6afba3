"""Texts without a mark of their encoding come out in the letters they were written in."""

import pytest

from catalog.imports.letters import guess_encoding

TEXTS = {
    "cp1252": [
        "Référence;Boîte\nCitroën;8 990 €;Mécanique",
        "Außenfarbe;Grün\nMüller",
        "£8,995",
        "Färg;Röd;Åmål",
        "cm³;399",
    ],
    "cp1250": [
        "Značka;Převodovka\nŠkoda;Manuální;Červená",
        "Pojemność;Napęd\nBiały",
        "Váltó;Üzemanyag;Évjárat\nZöld;időszerű",
    ],
    "iso8859-2": ["Pojemność;Napęd;Śląsk\nBiały;źródło;żółty", "Značka;Převodovka\nŠkoda;žlutá;šťastný"],
    "cp1251": ["Номер;Марка;Модель\nдизель;Белый", "Пробег"],
    "koi8-r": ["Номер;Марка;Модель\nдизель;Белый"],
    "cp866": ["Номер;Марка;Модель\nдизель;Белый"],
    "cp1253": ["Μάρκα;Μοντέλο;Τιμή\nΠετρέλαιο;Χειροκίνητο"],
    "cp1254": ["Yakıt;Vites;Şehir;Fiyat\nBenzin;Düz;İstanbul;Kırmızı"],
    "gb18030": ["编号,品牌,车系,上牌时间,表显里程,价格\n1,大众,高尔夫,2018-03,5.6万公里,8.98万"],
    "mac-roman": ["Référence;Prix;Boîte de vitesses\nCitroën;8 990;Mécanique"],
    "cp850": ["Référence;Prix;Boîte de vitesses\nCitroën;8 990;Mécanique"],
}


@pytest.mark.parametrize(("codec", "text"), [(codec, text) for codec, texts in TEXTS.items() for text in texts])
def test_no_text_of_the_trade_is_read_in_other_letters(codec, text):
    content = text.encode(codec)
    assert content.decode(guess_encoding(content)) == text
