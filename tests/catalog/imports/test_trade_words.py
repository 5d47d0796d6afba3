"""Words and headings of the trade in its languages, by the value or the field that they mean."""

import pytest

from catalog.imports.headings import HeaderReader, recognise
from catalog.imports.numbered import number_key
from catalog.imports.vocabulary import VOCABULARIES, status_of

VALUES = {  # (field, value) -> what cells say
    ("fuel", "petrol"): "Bleifrei|Euro 95|ULP|Benz.",
    ("fuel", "diesel"): "Dieselöl|HVO|Dies.",
    ("fuel", "electric"): "電気|Elektrisk|Elektroantrieb|energia elektryczna",
    ("fuel", "hybrid"): "hybridní|Benzin/El",
    ("fuel", "plugin_hybrid"): "Подзаряжаемый гибрид|Oplaadbaar hybride",
    ("fuel", "cng"): "Gas natural|Gaz CNG",
    ("fuel", "ethanol"): "Álcool",
    ("fuel", "hydrogen"): "Vätgas|Водород|Brint",
    ("gearbox", "manual"): "Schaltgetr.|handgesch.|Ręczna|Handbak|6-Speed M|6-Gang Schaltgetr.",
    ("gearbox", "automatic"): "Automatikgetr.|10-Speed A|8 SP A|Direct drive|TCT|Automatický|Reduktionsgetriebe",
    ("gearbox", "semi_automatic"): "robotizada|ETG6|MTA|Semiautomatisch",
    ("drive", "front"): "Forhjulstrekk|Framhjul|Predná|Vorderradantr.",
    ("drive", "rear"): "bakhjulstrekk|Baghjul",
    ("drive", "all"): "pohon všech kol|firehjulstrekk|4 ruote motrici|Allradantr.",
    ("body", "hatchback"): "Berlina 5 porte|Berline 5 portes|Combi-coupé",
    ("body", "van"): "Gesloten bestel|LCV",
    ("body", "pickup"): "Doppelkabine",
    ("vat", "margin"): "Non-VAT|bez odpočtu|Regime de margem",
    ("fuel", "lpg"): "Бензин, ГБО",
    ("status", "live"): "verkaufsbereit|Libre|Aanwezig|On web",
    ("status", "reserved"): "Rezervované|Opzionato|Zálohováno|Забронирован|Zadatek|aanbetaald|Caparra",
    ("status", "sold"): "predané|abverkauft|prodané|wydany|Geleverd|Utlevert|Fatturato|Contract signed",
    ("status", "draft"): "v přípravě|zamówiony|Underveis|på vej|in Aufbereitung|in werkplaats|En atelier|PDI",
    ("status", "withdrawn"): "wycofany|staženo|ingetrokken|ej till salu|ikke til salgs|неактивно",
}
MORE_VALUES = {
    ("fuel", "plugin_hybrid"): "REX|Electric with range extender|Hybride essence/électrique rechargeable",
    ("fuel", "hybrid"): "e-Power",
    ("fuel", "hydrogen"): "Wasserstoff / Elektro|hidrogen|水素",
    ("gearbox", "automatic"): "Automatico sequenziale|automatic-stepless-sequential",
    ("drive", "all"): "all-wheel-auto|all-wheel-permanent",
    ("body", "mpv"): "Tila-auto",
    ("body", "hatchback"): "Sportback|Лифтбек|Utilitário",
    ("status", "reserved"): "Varattu|Foglalt|Rezervat|商談中",
    ("status", "sold"): "Продана|Myyty|Eladva|Vândut|売約済",
    ("status", "draft"): "En camino|v přepravě|tulossa",
}


@pytest.mark.parametrize(
    ("meant", "cells"), [*VALUES.items(), *MORE_VALUES.items()], ids=lambda each: "-".join(each)[:30]
)
def test_a_cell_of_the_trade_means_its_value(meant, cells):
    field, value = meant
    read = status_of if field == "status" else VOCABULARIES[field].read
    assert {cell: read(cell) for cell in cells.split("|")} == dict.fromkeys(cells.split("|"), value)


@pytest.mark.parametrize(
    ("field", "cell"),
    [
        ("gearbox", "Getr."),
        ("fuel", "Hyd."),
        ("status", "verk."),  # sold, and on sale
        ("status", "Trade"),
    ],
)
def test_a_word_cut_off_too_early_means_nothing(field, cell):
    assert (status_of if field == "status" else VOCABULARIES[field].read)(cell) is None


HEADINGS = {  # field -> headings
    "external_id": "Referanse|Referentie|N° parc|Stocknummer|Bestandsnr.|Anzeigen-ID|Nº ref.|N.º anúncio|Voorraadnr.|"
    "Stk#|Nr ogłoszenia|Numéro d'annonce|Réf. interne|Номер лота|Objektnr",
    "vin": "Fahrgestell-Nr.|Fahrgest.-Nr.|VIN-Nr.|N° de série|Nº de bastidor|Stelnr.|Chassinummer|Numer nadwozia (VIN)",
    "year": "1ª immatricolazione|1ère mise en circulation|Data I rejestracji|Datum 1e toelating|1. registrace|"
    "Data 1ª matrícula|Reg.datum|1:a reg|Jahrgang|Año matriculación|Uvedeno do provozu",
    "price": "prices.public.value|prices[1].value|Cena vč. DPH|PVP c/ IVA|P.V.P.|VK|PV|Udsalgspris|Forecourt Price",
    "mileage": "Gesamt-km|Kjørelengde|Körsträcka|Kilométrage réel",
    "seats": "Nº plazas|Кол-во мест|Nbre places",
    "doors": "Nº puertas|Nbre de portes|Кол-во дверей",
    "owner_count": "Nº propietarios|Кол-во владельцев|Vorige eigenaren",
    "photos": "Immagini|Fotky|Картинки|Galería",
    "place": "Standort PLZ|Niederlassung|Localité|Oddział|Pobočka|Avdeling",
    "seller_name": "Firma|Rivenditore|Bilfirma|Concession",
    "registration_month": "Månad|Måned|Месяц",
    "drive": "Náhon",
    "condition": "ownershipCondition",
    "vat_status": "price.gross_net|Brutto/Netto",
    "vat": "Momsbil",
    "gearbox": "Trans Desc",
}
MORE_HEADINGS = {
    "year": "Reg Yr|Year/Plate",
    "price": "車両本体価格|Precio con IVA",
    "mileage": "Miltal.value",
    "owner_count": "Première main|Unico proprietario",
    "registration_month": "firstRegistration.month",
}


@pytest.mark.parametrize(("field", "headings"), [*HEADINGS.items(), *MORE_HEADINGS.items()])
def test_a_heading_of_the_trade_names_its_field(field, headings):
    found = {heading: column.field if (column := recognise(heading)) else "" for heading in headings.split("|")}
    assert found == dict.fromkeys(headings.split("|"), field)


@pytest.mark.parametrize(
    "heading", ["Model No", "Engine Nr.", "Photo number", "Anzahl Zylinder", "Key id", "Nr.", "Owner-Id", "Telefon 1"]
)
def test_a_number_of_something_else_is_left_alone(heading):
    column = recognise(heading)
    assert column is None or (heading, column.field) in [("Nr.", "external_id"), ("Telefon 1", "seller_phone")]


def test_headings_are_one_number_in_whatever_words():
    assert number_key("bestandsnummer") == number_key("bestands nr") == ("#", "bestand")
    assert number_key("n o plazas") == number_key("numero de plazas") == ("#", "plaza")
    assert number_key("price") == number_key("no") == ()


def test_type_is_the_model_where_other_columns_say_body_and_trim():
    def fields(*headings):
        return {column.heading: column.field for column in HeaderReader().columns(headings)}

    assert fields("Merk", "Type", "Uitvoering", "Prijs")["Type"] == "model"
    assert fields("Merk", "Type", "Carrosserie", "Prijs")["Type"] == "model"
    assert fields("Make", "Model", "Type", "Trim")["Type"] == "body"
    assert fields("Make", "Type", "Price")["Type"] == "body"


def test_a_price_with_its_tax_stands_beside_one_without():
    def prices(*headings):
        return {column.heading: column.target for column in HeaderReader().columns(["Make", "Model", *headings])[2:]}

    assert prices("Imponibile", "IVA inclusa") == {"Imponibile": "price_net", "IVA inclusa": "price"}
    assert prices("Price", "IVA inclusa") == {"Price": "price", "IVA inclusa": "vat_status_included"}


def test_typ_is_the_model_where_nothing_else_is_and_the_trim_beside_one():
    def fields(*headings):
        reader = HeaderReader()
        return {column.heading: column.field for column in reader.columns(headings)}, reader.unread(headings)

    assert fields("Fabrikat", "Typ", "Preis") == ({"Fabrikat": "make", "Typ": "model", "Preis": "price"}, [])
    assert fields("Marke", "Modell", "Typ")[0]["Typ"] == "variant"
    assert fields("Titel", "Marke", "Typ") == ({"Titel": "title", "Marke": "make"}, ["Typ"])
