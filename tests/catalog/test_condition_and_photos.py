"""What a listing says of its condition, damage, first registration, photos and posting: in, out, cleared and shown."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.services import create_api_key
from catalog.imports.reading import ImportOptions
from catalog.imports.store import import_listings
from catalog.imports.vocabulary import damage_in_title, damage_of
from catalog.models import Listing
from tests.factories import ListingFactory, UserFactory
from tests.recommendations.api.conftest import client_with

pytestmark = pytest.mark.django_db
LISTINGS, SEARCH = "/api/v1/listings", "/api/v1/cars/search"
PHOTOS = [f"https://a.example/{number}.jpg" for number in range(3)]
SAID = {
    "first_registration": "2018-03", "condition": "demo", "damage": "repaired", "posted_at": "2026-01-02T03:04:05Z",
    "photos": PHOTOS,
}  # fmt: skip
CAR = {"external_id": "7", "brand": "VW", "model": "Golf", "price": 9000}


@pytest.fixture
def shop(db):
    key = create_api_key(name="s", scopes=["ingest", "read"], created_by=None, source="shop")[1]
    return client_with(x_api_key=key)


def sent(shop, **fields) -> Listing:
    answer = shop.post(LISTINGS, [{**CAR, **fields}])
    assert answer.status_code == 200, answer.json()
    return Listing.objects.get(source="shop", external_id="7")


def test_what_is_sent_comes_back(shop):
    listing = sent(shop, **SAID)
    assert (listing.year, listing.photo_url, listing.first_registration) == (2018, PHOTOS[0], 201803)
    answer = shop.get(f"{LISTINGS}/{listing.pk}").json()
    assert {name: answer[name] for name in SAID} == SAID
    detail = shop.get(f"/api/v1/cars/detail/{listing.pk}").json()
    assert {name: detail[name] for name in (*SAID, "photo_url")} == {**SAID, "photo_url": PHOTOS[0]}


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("condition", "Neuwagen", "new"),
        ("condition", "nearly new", "used"),
        ("damage", "Cat S", "written_off"),
        ("damage", "unfallfrei", "none"),
        ("first_registration", "03/2018", 201803),
        ("first_registration", "03/98", 199803),
        ("first_registration", "Mar-18", 201803),
        ("first_registration", 201803, 201803),
        ("posted_at", "2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_words_and_forms_of_the_trade_are_understood(shop, field, value, stored):
    assert getattr(sent(shop, **{field: value}), field) == stored


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_registration", "2018"),
        ("first_registration", "2018-13"),
        ("first_registration", {}),
        ("condition", "lovely"),
        ("damage", "perhaps"),
        ("posted_at", "soon"),
        ("posted_at", 7),
        ("photos", ["javascript:alert(1)"]),
        ("photos", "https://a.example/1.jpg"),
        ("photos", [None]),
        ("photos", [f"https://a.example/{n}" for n in range(31)]),
        ("photos", ["https://a.example/" + "x" * 500]),
    ],
)
def test_what_cannot_be_understood_is_refused_by_its_name(shop, field, value):
    answer = shop.post(LISTINGS, [{**CAR, field: value}])
    assert answer.status_code == 400
    assert any(field in name for name in answer.json()["error"]["fields"])


@pytest.mark.parametrize("fields", [{"photos": None}, {"photo_url": None}, {"photos": None, "photo_url": None}])
def test_null_clears_all_photos(shop, fields):
    sent(shop, photos=PHOTOS)
    listing = sent(shop, **fields)
    assert (listing.photos, listing.photo_url) == ([], "")


def test_what_is_sent_of_photos_is_all_of_them(shop):
    sent(shop, photos=PHOTOS)
    assert sent(shop, price=8000).photos == PHOTOS
    listing = sent(shop, photo_url=PHOTOS[2], photos=None)
    assert (listing.photos, listing.photo_url) == ([PHOTOS[2]], PHOTOS[2])
    assert sent(shop, photo_url=PHOTOS[1], photos=PHOTOS).photos == [PHOTOS[1], PHOTOS[0], PHOTOS[2]]


def test_they_are_filters_of_the_search_and_of_saved_wishes(shop):
    cars: list[dict[str, str]] = [
        {"first_registration": "2018-03", "condition": "used", "damage": "none"},
        {"first_registration": "2020-12", "condition": "demo"},
        {"first_registration": "2021-01", "condition": "new", "damage": "damaged"},
    ]
    sent = [{**CAR, "external_id": str(number), **fields} for number, fields in enumerate(cars)]
    assert shop.post(LISTINGS, sent).status_code == 200

    def found(query: str) -> list[str]:
        return sorted(car["external_id"] for car in shop.get(f"{SEARCH}?{query}").json()["listings"])

    assert found("condition=new,Vorführwagen") == ["1", "2"]
    assert found("damage=none") == ["0"]
    assert found("damage=Unfallfahrzeug") == ["2"]
    assert found("min_first_registration=2020-12") == ["1", "2"]
    assert found("max_first_registration=12/2020") == ["0", "1"]
    assert found("first_registration=2020-12") == ["1"]
    # What a search types is no filter of these: of most of a stock nothing is known, and it would all be left out.
    assert found("q=used golf") == ["0", "1", "2"]
    assert shop.get(f"{SEARCH}?min_first_registration=soon").status_code == 400
    assert shop.get(f"{SEARCH}?min_first_registration=2021-01&max_first_registration=2020-01").status_code == 400


def imported(tmp_path, table: str) -> Listing:
    path = tmp_path / "cars.csv"
    path.write_text(table)
    import_listings(path=path, options=ImportOptions(source="shop"))
    return Listing.objects.get(source="shop", external_id="7")


@pytest.mark.parametrize("way", ["file", "api"])
@pytest.mark.parametrize(("days", "is_used"), [(3, True), (400, True), (-2, False), (1200, False)])
def test_a_listing_is_as_fresh_as_its_advertisement(shop, tmp_path, way, days, is_used):
    posted = (timezone.now() - timedelta(days=days)).replace(microsecond=0)
    if way == "api":
        listing = sent(shop, posted_at=posted.isoformat())
    else:
        listing = imported(tmp_path, f"id,make,model,price,posted at\n7,VW,Golf,9000,{posted.isoformat()}\n")
    assert listing.posted_at == posted
    assert (listing.published_at == posted) is is_used
    assert is_used or timezone.now() - listing.published_at < timedelta(minutes=1)


def test_an_advertisement_that_is_posted_again_is_not_fresh_again(shop):
    now = timezone.now()
    first, again = now - timedelta(days=9), now - timedelta(days=1)
    assert sent(shop, posted_at=first.isoformat()).published_at == first
    assert sent(shop, posted_at=again.isoformat()).published_at == first
    Listing.objects.update(published_at=now)  # put back on sale by an operator
    assert sent(shop, posted_at=again.isoformat(), price=8000).published_at == now


def test_a_file_with_fewer_photos_leaves_those_and_one_that_says_none_all(tmp_path):
    table = "id,make,model,price,images\n7,VW,Golf,9000,{}\n"
    assert imported(tmp_path, table.format("|".join(PHOTOS))).photos == PHOTOS
    listing = imported(tmp_path, table.format(PHOTOS[1]))
    assert (listing.photos, listing.photo_url) == ([PHOTOS[1]], PHOTOS[1])
    assert imported(tmp_path, table.format("")).photos == [PHOTOS[1]]


def test_a_photo_that_was_known_before_there_were_several_is_no_change(tmp_path):
    listing = ListingFactory(source="shop", external_id="7", photo_url=PHOTOS[0], price=9000)
    assert listing.gallery == [PHOTOS[0]]
    before = Listing.objects.get().updated_at
    assert imported(tmp_path, f"id,price,images\n7,9000,{PHOTOS[0]}\n").updated_at == before


def test_staff_see_the_photos_and_edit_them_line_by_line(client: Client):
    client.force_login(UserFactory(operator=True))
    listing = ListingFactory(photo_url=PHOTOS[0], first_registration=201803)
    page = reverse("admin:catalog_listing_change", args=[listing.pk])
    shown = client.get(page).text
    assert f'<img src="{PHOTOS[0]}"' in shown
    assert 'value="2018-03"' in shown
    form = client.get(page).context["adminform"].form
    sent = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
    inline = {"price_changes-TOTAL_FORMS": 0, "price_changes-INITIAL_FORMS": 0}
    others = {"tags": "", "posted_at_0": "", "posted_at_1": "", "first_registration": "04/2019", "condition": "new"}
    given = {**sent, **inline, **others, "photos": f"{PHOTOS[2]}\n\n {PHOTOS[1]} "}
    assert client.post(page, given).status_code == 302
    listing.refresh_from_db()
    assert (listing.photos, listing.photo_url) == ([PHOTOS[2], PHOTOS[1]], PHOTOS[2])
    assert (listing.first_registration, listing.condition) == (201904, "new")
    wrong = client.post(page, {**given, "photos": "javascript:alert(1)", "first_registration": "2019"})
    assert set(wrong.context["adminform"].form.errors) == {"photos", "first_registration"}


@pytest.mark.parametrize("text", [
    "No accidents or damage reported", "accident free, no damage", "No accidents, 1 owner", "0 accidents reported",
    "kein Unfall, scheckheftgepflegt", "Unfallfrei, kein Hagelschaden", "ohne Vorschaden", "sans accident",
])  # fmt: skip
def test_what_denies_damage_is_none(text):
    assert damage_of(text) == "none"


@pytest.mark.parametrize(("text", "damage"), [
    ("nicht unfallfrei, Frontschaden", "damaged"), ("no accidents but hail damage", "damaged"),
    ("Hail damage, not repaired", "damaged"), ("Hail damage, repaired", "repaired"),
    ("Cat S, repaired", "written_off"), ("Hagelschaden", "damaged"), ("2", "damaged"),
])  # fmt: skip
def test_what_owns_up_to_damage_is_damage(text, damage):
    assert damage_of(text) == damage


@pytest.mark.parametrize("title", [
    "Audi A4 ohne Unfallschaden", "VW Passat keinen Motorschaden", "Seat Leon Unfall frei", "Unfall-frei VW Golf",
    "Ford Focus no accident damage", "BMW 320d unfallfrei",
])  # fmt: skip
def test_a_title_that_denies_damage_names_none(title):
    assert damage_in_title(title) in ("", "none")


@pytest.mark.parametrize("grade", ["5", "1", "A", "B", "C", "N", "yes", "no"])
def test_a_grade_under_condition_is_no_damage(grade, tmp_path):
    path = tmp_path / "cars.csv"
    path.write_text(f"id,make,model,year,price,condition\n7,VW,Golf,2018,9000,{grade}\n")
    import_listings(path=path, options=ImportOptions(source="shop"))
    assert Listing.objects.get(external_id="7").damage == ""


@pytest.mark.parametrize(("text", "month"), [("03/98", 199803), ("Mar-98", 199803), ("5/3/98", 199803)])
def test_two_digits_of_a_registration_are_no_year_to_come(text, month, tmp_path):
    path = tmp_path / "cars.csv"
    path.write_text(f"id,make,model,year,price,first registration\n7,VW,Golf,1998,900,{text}\n")
    import_listings(path=path, options=ImportOptions(source="shop"))
    assert Listing.objects.get(external_id="7").first_registration == month


@pytest.mark.parametrize("way", ["post", "put", "patch", "file"])
def test_damage_that_a_title_owns_up_to_is_read_whatever_way_it_comes(shop, tmp_path, way):
    titles = {
        "Golf 1.4 Unfallwagen": "damaged", "Golf CAT S": "written_off", "Golf spares or repair": "damaged",
        "Golf non runner": "damaged", "Golf unfallfrei": "", "Golf Kombi": "",
    }  # fmt: skip
    for title, damage in titles.items():
        Listing.objects.all().delete()
        if way == "file":
            listing = imported(tmp_path, f"id,make,model,price,title\n7,VW,Golf,9000,{title}\n")
        elif way == "patch":
            sent(shop)
            assert shop.patch(LISTINGS, [{"external_id": "7", "title": title}]).status_code == 200
            listing = Listing.objects.get()
        elif way == "put":
            named = {name: value for name, value in CAR.items() if name != "external_id"}
            assert shop.put(f"{LISTINGS}/by-external-id/7", {**named, "title": title}).status_code < 300
            listing = Listing.objects.get()
        else:
            listing = sent(shop, title=title)
        assert listing.damage == damage, title


def test_what_a_client_says_of_damage_goes_before_its_title(shop):
    assert sent(shop, title="Golf CAT S", damage="repaired").damage == "repaired"
    assert sent(shop, title="Golf CAT S", damage=None).damage == "written_off"
    assert sent(shop, title="Golf Kombi", damage=None).damage == ""
