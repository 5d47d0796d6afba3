import pytest

from catalog.imports.vocabulary import (
    STATUS,
    VOCABULARIES,
    bare,
    field_of_word,
    is_missing,
    status_of,
)
from catalog.models import Listing, Seller


@pytest.mark.parametrize(
    ("field", "choices"),
    [
        ("fuel", Listing.Fuel),
        ("gearbox", Listing.Gearbox),
        ("body", Listing.Body),
        ("drive", Listing.Drive),
        ("condition", Listing.Condition),
        ("damage", Listing.Damage),
        ("status", Listing.Status),
        ("seller_kind", Seller.Kind),
    ],
)
def test_the_words_lead_to_the_values_the_catalogue_stores(field, choices):
    assert set(VOCABULARIES[field].values) == set(choices.values)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("fuel", "Benzin", "petrol"),
        ("fuel", "GASOLINE", "petrol"),
        ("fuel", "Gas", "petrol"),
        ("fuel", "Erdgas (CNG)", "cng"),
        ("fuel", "Autogas", "lpg"),
        ("fuel", "Électrique", "electric"),
        ("fuel", "Benzin/Elektro", "hybrid"),
        ("fuel", "Hybrid (Benzin/Elektro)", "hybrid"),
        ("fuel", "Petrol Plug-in Hybrid", "plugin_hybrid"),
        ("fuel", "Benzina/GPL", "lpg"),
        ("fuel", "E85 Flex Fuel", "ethanol"),
        ("fuel", "Diesel (Euro 6)", "diesel"),
        ("fuel", "Gasóleo", "diesel"),
        ("gearbox", "Semi-Auto", "semi_automatic"),
        ("gearbox", "Schaltgetriebe", "manual"),
        ("gearbox", "6-Speed A/T", "automatic"),
        ("gearbox", "8-Speed A/T w/Manual", "automatic"),
        ("gearbox", "CVT", "automatic"),
        ("gearbox", "M", "manual"),
        ("gearbox", "Halbautomatik", "semi_automatic"),
        ("body", "Limousine", "saloon"),
        ("body", "Kombi", "estate"),
        ("body", "SUV/Geländewagen/Pickup", "suv"),
        ("body", "mini-van", "mpv"),
        ("body", "Sedan", "saloon"),
        ("drive", "4x4", "all"),
        ("drive", "Heckantrieb", "rear"),
        ("drive", "Front-wheel drive", "front"),
        ("seller_kind", "Trustmark Dealer", "dealer"),
        ("seller_kind", "Individual", "private"),
        ("seller_kind", "privat", "private"),
    ],
)
def test_words_of_many_languages_mean_one_value(field, text, value):
    assert VOCABULARIES[field].read(text) == value


@pytest.mark.parametrize(("field", "text"), [("fuel", "14"), ("gearbox", "Petrol"), ("seller_kind", "private dealer")])
def test_words_of_something_else_or_of_two_minds_mean_nothing(field, text):
    assert VOCABULARIES[field].read(text) is None


def test_a_status_must_be_the_whole_cell():
    assert STATUS.exact("Available") == "live"
    assert STATUS.exact("not available") == "withdrawn"


@pytest.mark.parametrize("text", ["awaiting valet", "not sold", "nicht verkauft", "maybe available", "ZZ", "live soon"])
def test_a_status_that_is_not_known_is_never_live(text):
    assert status_of(text) != "live"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Sold - awaiting collection", "sold"), ("SOLD STC", "sold"), ("NOT_AVAILABLE", "withdrawn"),
        ("Due In", "draft"), ("Out of Stock", "withdrawn"), ("Verkauft", "sold"), ("Reserverad", "reserved"),
        ("Продано", "sold"),
        ("https://schema.org/InStock", "live"), ("En préparation", "draft"), ("Prodáno", "sold"), ("I lager", "live"),
    ],
)  # fmt: skip
def test_statuses_of_the_trade_in_its_languages(text, status):
    assert status_of(text) == status


@pytest.mark.parametrize(
    "text", ["", " ", "-", "–", "N/A", "n.a.", "null", "Unknown", "k.A.", "keine Angabe", "(none)", "\\N"]
)
def test_a_cell_can_say_nothing_in_many_ways(text):
    assert is_missing(text)


@pytest.mark.parametrize("text", ["0", "Ka", "NAN0", "no"])
def test_short_words_that_say_something_are_not_missing(text):
    assert not is_missing(text)


@pytest.mark.parametrize(
    ("text", "field"),
    [("Diesel", "fuel"), ("Manual", "gearbox"), ("Hatchback", "body"), ("4x4", None), ("other", None)],
)
def test_a_word_of_one_vocabulary_only_names_its_field(text, field):
    assert field_of_word(text) == field


def test_words_are_compared_without_case_accents_and_punctuation():
    assert bare("  Boîte-de_Vitesse (Auto)") == "boite de vitesse auto"
