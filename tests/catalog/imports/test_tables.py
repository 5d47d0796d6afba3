"""JSON, XML and workbooks of several makers come out as the same rows; what is none of them is refused by name."""

import gzip
import io
import json
import zipfile

import pytest

from catalog.exceptions import FileRefused, HeaderRefused, ImportRefused
from catalog.imports.reading import ImportOptions, open_reading

CAR = {
    "id": "7",
    "make": "Škoda",
    "model": "Octavia",
    "year": 2018,
    "price": 8995.5,
    "mileage": 42000,
    "photos": ["https://d.example/1.jpg"],
}
XML_CAR = "<id>7</id><make>Škoda</make><model>Octavia</model><year>2018</year><price>8995.5</price>"


def rows_of(path, **options):
    with open_reading(path, ImportOptions(**options)) as reading:
        return [reading.reader.read(record.cells).row for record in reading.rows]


def written(tmp_path, content, name="stock.dat"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def js(value, **how):
    return json.dumps(value, **how)


def graph(*ids):
    offer = {"price": 8995.5, "priceCurrency": "EUR", "availability": "https://schema.org/InStock"}
    car = {
        "@type": "Car",
        "brand": {"name": "Skoda"},
        "model": "Octavia",
        "vehicleModelDate": "2018",
        "offers": [offer],
    }
    return {"@context": "https://schema.org", "@graph": [{**car, "sku": id_} for id_ in ids]}


OTHER = {**CAR, "id": "8"}
JSON_FILES = {
    "a list": js([CAR, OTHER]),
    "a list in an object": js({"meta": {"pages": [{"page": 1}]}, "data": {"vehicles": [CAR, OTHER]}}),
    "lines": f"{js(CAR)}\n{js(OTHER)}\n",
    "lines with a late field": f"{js(CAR)}\n{js({**OTHER, 'colour': 'red'})}\n",
    "nested": js({"results": [{"vehicle": CAR}, {"vehicle": OTHER}]}),
    "a mark of UTF-8": "\ufeff" + js([CAR, OTHER], ensure_ascii=False),
    "UTF-16": js([CAR, OTHER], ensure_ascii=False).encode("utf-16"),
    "JSON-LD graph": js(graph("7", "8")),
}
OTHER_XML = XML_CAR.replace(">7<", ">8<")


def google(fields):
    return f"<item>{fields.replace('</', '</g:').replace('<', '<g:').replace('<g:/g:', '</g:')}</item>"


def with_attributes(id_):
    return (
        f"<v><id>{id_}</id><make>Skoda</make><model>Octavia</model><year>2018</year>"
        '<price currency="EUR">8995.5</price><mileage unit="MI">10</mileage></v>'
    )


def only_attributes(id_):
    return f'<car id="{id_}" make="Skoda" model="Octavia" year="2018" price="8995.5"/>'


XML_FILES = {
    "a list": f"<cars><car>{XML_CAR}</car><car>{OTHER_XML}</car></cars>",
    "RSS": '<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0"><channel><title>Stock</title>'
    f"{google(XML_CAR)}{google(OTHER_XML)}</channel></rss>",
    "attributes": f"<stock>{only_attributes(7)}{only_attributes(8)}</stock>",
    "dealers around them": "<feed><dealer id='1'><name>Smith</name><cars>"
    f"<car>{XML_CAR}</car><car>{OTHER_XML}</car></cars></dealer></feed>",
    "Latin-2": b'<?xml version="1.0" encoding="iso-8859-2"?>'
    + f"<a><b>{XML_CAR}</b><b>{OTHER_XML}</b></a>".encode("iso-8859-2"),
    "values with attributes": f"<l>{with_attributes(7)}{with_attributes(8)}</l>",
}


@pytest.mark.parametrize("content", [*JSON_FILES.values(), *XML_FILES.values()], ids=[*JSON_FILES, *XML_FILES])
@pytest.mark.parametrize("pack", ["", "gzip", "zip"])
def test_every_shape_gives_its_cars(tmp_path, content, pack):
    content = content if isinstance(content, bytes) else content.encode()
    if pack == "gzip":
        content = gzip.compress(content)
    if pack == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("stock", content)
            archive.writestr("photos/1.JPG", b"\xff\xd8\xff")
        content = packed.getvalue()
    rows = rows_of(written(tmp_path, content))
    assert [(row.external_id, row.make, row.model, row.year, float(row.price)) for row in rows] == [
        ("7", "Skoda", "Octavia", 2018, 8995.5), ("8", "Skoda", "Octavia", 2018, 8995.5),
    ]  # fmt: skip


def test_one_car_alone_is_a_file_too(tmp_path):
    assert [row.external_id for row in rows_of(written(tmp_path, js(CAR)))] == ["7"]
    assert [row.external_id for row in rows_of(written(tmp_path, f"<car>{XML_CAR}</car>"))] == ["7"]


def test_units_beside_a_value_count(tmp_path):
    rows = rows_of(written(tmp_path, XML_FILES["values with attributes"]))
    assert [(row.mileage_km, row.currency) for row in rows] == [(16, "EUR")] * 2


def test_attributes_as_name_and_value_are_read(tmp_path):
    car = {
        "id": "7",
        "title": "Ford Focus",
        "price": 1,
        "params": [{"key": "Year", "value": "2018"}, {"key": "Fuel", "value": "Diesel"}],
    }
    (row,) = rows_of(written(tmp_path, js([car])))
    assert (row.year, row.fuel) == (2018, "diesel")


OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def workbook(*sheets):
    """A small xlsx of sheets, each (name, rows); numbers stay numbers."""
    numbers = range(1, len(sheets) + 1)
    parts = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{KIND}.worksheet+xml"/>' for n in numbers
    )
    names = "".join(f'<sheet name="{sheets[n - 1][0]}" sheetId="{n}" r:id="r{n}"/>' for n in numbers)
    links = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{KIND}.sheet.main+xml"/>{parts}</Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships">'
            f'<Relationship Id="r" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{SHEETS}" xmlns:r="{OFFICE}"><sheets>{names}</sheets></workbook>'
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>'
        )
        for n, (_, rows) in enumerate(sheets, 1):
            body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/sheet{n}.xml",
                f'<worksheet xmlns="{SHEETS}"><sheetData>{body}</sheetData></worksheet>',
            )
    return packed.getvalue()


def cell(value):
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>'


def test_a_workbook_is_read_from_its_sheet_of_cars(tmp_path):
    rows = [
        ["Stock list"],
        ["Stock No", "Make", "Model", "Year", "Price"],
        ["A1", "Ford", "Focus", 2018, 8995.5],
        ["", "", "", "TOTAL", 8995.5],
    ]
    path = written(tmp_path, workbook(("Notes", [["Hello"]]), ("Stock", rows)), "stock.xlsx")
    read = rows_of(path)
    assert [row and (row.external_id, row.make, row.year, float(row.price)) for row in read] == [
        ("A1", "Ford", 2018, 8995.5),
        None,
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"%PDF-1.4 something", "a PDF document"),
        (b"<!DOCTYPE html><html><body>Sorry</body></html>", "a web page"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "a picture"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "office document"),
        (b'{"make": "Ford", "price"', "JSON"),
        (b"<cars><car><make>Ford</make><price>1</price>", "XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x><make>&a;</make></x>', "XML"),
        (b'[{"name": "nothing", "of": "ours"}]', "No header"),
        (b"[1, 2, 3]", "header"),
        (b"{}", "header"),
    ],
)  # fmt: skip
def test_what_is_no_stock_is_refused_by_name(tmp_path, content, why):
    with pytest.raises(ImportRefused, match=why):
        rows_of(written(tmp_path, content))


def test_a_file_that_breaks_off_gives_what_was_whole(tmp_path):
    whole = js([{**CAR, "id": str(number)} for number in range(5000)])
    path = written(tmp_path, whole[: len(whole) // 2])
    with pytest.raises((FileRefused, HeaderRefused)):
        rows_of(path)


PLACES = {"#1": "external_id", "#2": "body", "#3": "make", "#4": "model", "#5": "year", "#6": "price", "#7": "ignore"}
CARS = [["A-77", "Kombi", "VW", "Golf VII 1.6 TDI", "2016-05", "11990", "x"],
        ["A-78", "Geländewagen/Pickup", "Fiat", "500C 1.2 Lounge", "03/2015", "8490", "y"]]  # fmt: skip


@pytest.mark.parametrize("kind", [";", ",", "\t", "|", "xlsx"])
def test_a_file_without_a_header_is_read_by_the_places_that_a_profile_names(tmp_path, kind):
    content = workbook(("Stock", CARS)) if kind == "xlsx" else "\n".join(kind.join(car) for car in CARS)
    path = written(tmp_path, content, "stock.xlsx" if kind == "xlsx" else "stock.csv")
    said = [(row.external_id, row.body, row.model, row.year, row.price) for row in rows_of(path, columns=PLACES)]
    assert said == [("A-77", "estate", "Golf", 2016, 11990), ("A-78", "suv", "500C", 2015, 8490)]


def test_a_place_that_no_row_has_is_refused_by_name(tmp_path):
    path = written(tmp_path, "1;VW;Golf;2016;9000", "stock.csv")
    with pytest.raises(HeaderRefused, match="#9"):
        rows_of(path, columns={"#1": "external_id", "#2": "make", "#3": "model", "#9": "price"})


def test_what_stands_under_chassis_is_a_body_or_a_number_and_mil_are_swedish(tmp_path):
    car = {"brand": "Volvo", "model": "V60", "regdate": "2017-06", "mileage_mil": "8 540", "price": "159 900 kr"}
    cars = [car | {"ad_id": what, "chassis": what, "subject": "V60 D4"} for what in ("Kombi", "YV1FW8AA0H1234567")]
    first, second = rows_of(written(tmp_path, js(cars), "stock.json"))
    assert (first.body, first.vin, second.body, second.vin) == ("estate", "", "", "YV1FW8AA0H1234567")
    assert (first.price, first.currency, first.mileage_km, first.title) == (159900, "SEK", 85400, "V60 D4")


CARS_BY_KEYS = {
    "an object of cars by their numbers": '{"A1": {"make": "Ford", "model": "Focus", "price": 8995},'
    ' "A2": {"make": "VW", "model": "Golf", "price": 9995}}',
    "within another object": '{"count": 2, "cars": {"A1": {"make": "Ford", "model": "Focus", "price": 8995},'
    ' "A2": {"make": "VW", "model": "Golf", "price": 9995}}}',
    "a table by its columns": '{"id": ["A1", "A2"], "make": ["Ford", "VW"], "model": ["Focus", "Golf"],'
    ' "price": [8995, 9995]}',
    "a data frame": '{"id": {"0": "A1", "1": "A2"}, "make": {"0": "Ford", "1": "VW"},'
    ' "model": {"0": "Focus", "1": "Golf"}, "price": {"0": 8995, "1": 9995}}',
    "features of a map": '{"features": [{"properties": {"id": "A1", "make": "Ford", "model": "Focus", "price": 8995}},'
    ' {"properties": {"id": "A2", "make": "VW", "model": "Golf", "price": 9995}}]}',
}


@pytest.mark.parametrize("kind", CARS_BY_KEYS)
def test_cars_of_json_are_found_however_they_are_put_together(tmp_path, kind):
    rows = rows_of(written(tmp_path, CARS_BY_KEYS[kind].encode(), "cars.json"))
    assert [(row.external_id, row.make, row.price) for row in rows] == [
        ("A1", "Ford", 8995),
        ("A2", "Volkswagen", 9995),
    ]


def test_one_car_with_parts_alike_is_one(tmp_path):
    text = '{"id": "1", "make": "Ford", "model": "Focus", "price": {"amount": 8995, "currency": "GBP"},'
    text += ' "was": {"amount": 9995, "currency": "GBP"}}'
    (row,) = rows_of(written(tmp_path, text.encode(), "cars.json"))
    assert (row.external_id, row.price) == ("1", 8995)


def test_attributes_of_an_element_are_not_what_it_holds(tmp_path):
    text = (
        '<cars><car><nummer>B1</nummer><marke>Opel</marke><modell>Astra</modell><preise><verkaufspreis waehrung="EUR" '
        'mwst="19">14990</verkaufspreis></preise><leistung einheit="kW">125</leistung><bilder><bild nr="2">'
        'https://d.example/2.jpg</bild><bild nr="1">https://d.example/1.jpg</bild></bilder></car></cars>'
    )
    (row,) = rows_of(written(tmp_path, text.encode(), "cars.xml"))
    assert (row.price, row.currency, row.power_kw) == (14990, "EUR", 125)
    assert row.photos == ("https://d.example/1.jpg", "https://d.example/2.jpg")


def test_a_workbook_in_xml_is_refused_by_its_name(tmp_path):
    text = '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"></Workbook>'
    with pytest.raises(FileRefused, match="Excel workbook of 2003"):
        rows_of(written(tmp_path, text.encode(), "cars.xml"))


STOCK_HEADER = ["Stock No", "Make", "Model", "Price"]


@pytest.mark.parametrize(
    ("name", "header", "is_read"),
    [
        ("Vans", STOCK_HEADER, True), ("Augsburg", STOCK_HEADER, True), ("Sheet2", STOCK_HEADER, True),
        ("York", [*STOCK_HEADER, ""], True),
        ("Sold", STOCK_HEADER, False), ("Verkauft", STOCK_HEADER, False), ("Stock Oct", STOCK_HEADER, False),
        ("2025", STOCK_HEADER, False), ("Old", STOCK_HEADER, False), ("Prices", ["Make", "Model", "Price"], False),
    ],
)  # fmt: skip
def test_sheets_that_go_on_with_the_stock_are_read_and_those_of_other_states_are_not(tmp_path, name, header, is_read):
    cars = [STOCK_HEADER, ["1", "Ford", "Focus", 8995], ["2", "Ford", "Fiesta", 6995]]
    content = workbook(("Cars", cars), (name, [header, ["3", "Ford", "Transit", 15995][: len(header)]]))
    ids = [row.external_id for row in rows_of(written(tmp_path, content, "stock.xlsx"))]
    assert ids == ["1", "2", "3"][: 3 if is_read else 2]
