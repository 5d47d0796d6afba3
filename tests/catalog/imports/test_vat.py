"""Value added tax: in the price, on top of it, and whether it can be reclaimed."""

import pytest

from tests.catalog.imports.test_trade_kinds import rows_of

CAR = "id,make,model"
FILES = {  # text of the file -> price and tax of its row
    "a heading with tax": (f"{CAR},Price inc VAT\n1,Ford,Transit,12000\n", 12000, "included"),
    "a heading without": (f"{CAR},Price ex VAT\n1,Ford,Transit,10000\n", 12000, "added"),
    "a cell without": (f"{CAR},price\n1,Ford,Transit,£10000 + VAT\n", 12000, "added"),
    "nothing is said": (f"{CAR},price\n1,Ford,Transit,10000\n", 10000, ""),
    "a column without": (f"{CAR},price,VAT\n1,Ford,Transit,10000,Plus VAT\n", 12000, "added"),
    "a column with": (f"{CAR},price,VAT\n1,Ford,Transit,10000,Inc VAT\n", 10000, "included"),
    "none to reclaim": (f"{CAR},price,VAT\n1,Ford,Transit,10000,Margin\n", 10000, "margin"),
    "no tax": (f"{CAR},price,vatStatus\n1,Ford,Transit,10000,No VAT\n", 10000, "margin"),
    "a rate": (f"{CAR},price,VAT\n1,Ford,Transit,10000,20%\n", 10000, ""),
    "a flag": (f"{CAR},price,VAT included\n1,Ford,Transit,10000,No\n", 12000, "added"),
    "a flag of yes": (f"{CAR},price,VAT included\n1,Ford,Transit,10000,Yes\n", 10000, "included"),
    "qualifying": (f"{CAR},price,VAT Qualifying\n1,Ford,Transit,10000,Yes\n", 10000, "reclaimable"),
    "not qualifying": (f"{CAR},price,VAT Qualifying\n1,Ford,Transit,10000,N\n", 10000, "margin"),
    "ausweisbar": ("Nr;Marke;Modell;Preis;MwSt. ausweisbar\n1;VW;Crafter;11900;ja\n", 11900, "reclaimable"),
    "Differenzbesteuert": ("Nr;Marke;Modell;Preis;MwSt\n1;VW;Golf;11900;§25a\n", 11900, "margin"),
    "netto and brutto": ("Nr;Marke;Modell;Preis netto;Preis brutto\n1;VW;Crafter;10000;11900\n", 11900, "included"),
    "a Polish margin": ("id;marka;model;cena;Faktura VAT\n1;Fiat;Tipo;39900;VAT marża\n", 39900, "margin"),
    "pence beside a net price": (f"{CAR},net price,price_pence\n1,Ford,Transit,8333,1000000\n", 10000, ""),
    "the pence of a net price": (f"{CAR},net price,pence\n1,Ford,Transit,8333,33\n", "9999.996", "added"),
    "all of a net price in pence": (f"{CAR},net price,price_pence\n1,Ford,Transit,8333,833333\n", "9999.996", "added"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_a_price_is_with_tax_and_its_tax_is_kept(tmp_path, kind):
    text, price, vat = FILES[kind]
    (row,) = rows_of(tmp_path, "a.csv", text)
    assert float(row.price) == round(float(price), 2)
    assert (row.vat, row.currency) == (vat, "GBP" if "Ford" in text else row.currency)


@pytest.mark.parametrize(("said", "vat"), [("net", "added"), ("gross", "included")])
def test_an_operator_who_says_what_prices_are_says_their_tax(tmp_path, said, vat):
    (row,) = rows_of(tmp_path, "a.csv", f"{CAR},Price ex VAT\n1,Ford,Transit,10000\n", vat=said, currency="GBP")
    assert (float(row.price), row.vat) == (12000 if said == "net" else 10000, vat)


def test_a_tax_of_unknown_rate_is_not_in_the_price(tmp_path):
    (row,) = rows_of(tmp_path, "a.csv", f"{CAR},price,VAT\n1,Ford,Transit,10000,ex VAT\n", currency="USD")
    assert (float(row.price), row.vat) == (10000, "excluded")
