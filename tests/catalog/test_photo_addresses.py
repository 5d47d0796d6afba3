"""One rule of what a photo's address is, and of how many are kept, whatever way a listing comes in."""

import json

import pytest
from django.core.exceptions import ValidationError

from accounts.services import create_api_key
from catalog.admin.attribute_fields import form_field_of
from catalog.attributes import BY_NAME
from catalog.imports.reading import ImportOptions
from catalog.imports.store import import_listings
from catalog.models import Listing
from tests.recommendations.api.conftest import client_with

pytestmark = pytest.mark.django_db
AT_MOST = BY_NAME["photos"].at_most
CAR = {"external_id": "7", "brand": "VW", "model": "Golf", "price": 9000}
ONE = "/api/v1/listings/by-external-id/7"
GOOD = [
    "https://a.example/1.jpg", "http://a.example/1.jpg", "HTTPS://A.EXAMPLE/1.jpg", "https://a.example:8443/1.jpg?w=9#x",
    "https://ä.example/bild-ü.jpg", "https://a.example/it's.jpg", "http://localhost/1.jpg", "https://a_b.example/1.jpg",
    "https://a.example/" + "x" * 482,
]  # fmt: skip
BAD = [
    "ftp://a.example/1.jpg", "ftps://a.example/1.jpg", "javascript:alert(1)", "data:image/png;base64,AAAA",
    "file:///etc/passwd", "/1.jpg", "a.example/1.jpg", "https://", "https:///1.jpg", "https://a.example/\x07.jpg",
    "https://nodots/1.jpg", "1",
]  # fmt: skip
TOO_LONG = "https://a.example/" + "x" * 483


@pytest.fixture
def shop(db):
    return client_with(x_api_key=create_api_key(name="s", scopes=["ingest"], created_by=None, source="shop")[1])


def by_post(shop, **photos):
    return shop.post("/api/v1/listings", {"listings": [{**CAR, **photos}]})


def by_bulk(shop, **photos):
    answer = shop.post("/api/v1/listings?partial=true", {"listings": [{**CAR, **photos}]})
    if answer.json()["refused"]:
        answer.status_code = 400
        answer.json = lambda: {"error": {"fields": json.loads(answer.content)["refused"][0]["fields"]}}
    return answer


def by_patch(shop, **photos):
    shop.post("/api/v1/listings", {"listings": [CAR]})
    return shop.patch("/api/v1/listings", {"listings": [{"external_id": "7", **photos}]})


def by_put(shop, **photos):
    return shop.put(ONE, {name: value for name, value in {**CAR, **photos}.items() if name != "external_id"})


WAYS = [by_post, by_bulk, by_patch, by_put]


def reasons(answer):
    assert answer.status_code == 400, answer.content
    return [reason for each in answer.json()["error"]["fields"].values() for reason in each]


def said_by_form(photos):
    try:
        form_field_of("photos").clean("\n".join(photos))
    except ValidationError as refusal:
        return refusal.messages
    return []


def imported(tmp_path, photos):
    path = tmp_path / "cars.json"
    path.write_text(json.dumps([{"id": "7", "make": "VW", "model": "Golf", "price": 9000, "photos": photos}]))
    import_listings(path=path, options=ImportOptions(source="shop"))
    return Listing.objects.get(external_id="7").photos


@pytest.mark.parametrize("address", GOOD)
def test_an_address_is_taken_whatever_way_it_comes(shop, tmp_path, address):
    for way in WAYS:
        for field in ({"photos": [address]}, {"photo_url": address}):
            assert way(shop, **field).status_code < 300, (way, field)
            assert Listing.objects.get().photos == [address]
            Listing.objects.all().delete()
    assert said_by_form([address]) == []
    assert imported(tmp_path, [address]) == [address]


@pytest.mark.parametrize("address", [*BAD, TOO_LONG])
def test_what_is_none_is_refused_whatever_way_it_comes_and_left_out_of_a_file(shop, tmp_path, address):
    said = said_by_form([address])
    assert said
    for way in WAYS:
        for field in ({"photos": [address]}, {"photo_url": address}):
            answer = way(shop, **field)
            if "\x07" in address:  # JSON has none of it
                assert answer.status_code == 400
            else:
                assert reasons(answer) == said, (way, field)
            assert not Listing.objects.exclude(photo_url="").exists()
    assert imported(tmp_path, [address, "https://a.example/1.jpg"]) == ["https://a.example/1.jpg"]


def test_as_many_are_kept_whatever_way_they_come(shop, tmp_path):
    many = [f"https://a.example/{number}.jpg" for number in range(AT_MOST + 1)]
    twice = [*many[:AT_MOST], many[0]]
    assert said_by_form(many) == [f"At most {AT_MOST} are kept."]
    for way in WAYS:
        for fields in ({"photos": many}, {"photos": many[:AT_MOST], "photo_url": many[AT_MOST]}):
            assert reasons(way(shop, **fields)) == said_by_form(many), (way, fields)
        for fields in ({"photos": twice}, {"photos": many[:AT_MOST], "photo_url": many[3]}):
            assert way(shop, **fields).status_code < 300, (way, fields)
            assert len(Listing.objects.get().photos) == AT_MOST
        Listing.objects.all().delete()
    assert said_by_form(twice) == []
    assert imported(tmp_path, many) == many[:AT_MOST]


@pytest.mark.parametrize("address", BAD)
def test_the_page_of_an_advertisement_is_an_address_of_the_web_too(shop, address):
    assert by_post(shop, url=address).status_code == 400
    with pytest.raises(ValidationError):
        form_field_of("url").clean(address)
