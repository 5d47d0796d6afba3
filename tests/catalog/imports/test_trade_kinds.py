"""Small files as the trade sends them, in several languages: what their rows must give, field by field."""

from decimal import Decimal

import pytest

from catalog.imports.reading import ImportOptions, open_reading

FORD = "id,make,model,price"
KINDS = {  # name of the file and its text -> fields of its rows
    "a status under a heading of conditions": (
        "a.csv", "referencia;marca;modelo;precio;estado\n1;SEAT;León;17.900;Disponible\n"
        "2;Dacia;Duster;11.500;Reservado\n3;Toyota;C-HR;22.500;Vendido\n",
        [{"status": "live", "tags": ()}, {"status": "reserved"}, {"status": "sold"}],
    ),
    "a Czech status": (
        "a.csv", "Číslo;Značka;Model;Cena;Stav\nC1;Škoda;Fabia;169 000 Kč;K dispozici\n"
        "C2;Škoda;Octavia;299 000 Kč;Prodáno\n",
        [{"external_id": "C1", "status": "live"}, {"external_id": "C2", "status": "sold"}],
    ),
    "a Polish status": (
        "a.csv", "id,stan,marka,model,cena,rok\n1,Sprzedany,Fiat,Tipo,39900,2018\n"
        "2,Zarezerwowany,Kia,Ceed,49900,2019\n",
        [{"status": "sold"}, {"status": "reserved"}],
    ),
    "a Dutch status": (
        "a.csv", "id;merk;model;prijs;staat\n1;Volvo;V40;8.950;Verkocht\n2;Ford;Fiesta;8.950;Onder optie\n",
        [{"status": "sold"}, {"status": "reserved"}],
    ),
    "an unknown status beside a known one": (
        "a.csv", "id;marque;modèle;prix;état\n1;Renault;Clio;8990;VENDU\n2;Renault;Clio;8990;Klopft\n",
        [{"status": "sold"}, {"status": "draft"}],
    ),
    "French abbreviations": (
        "a.csv", "id;marque;modèle;PV TTC;Carb.;Coul.;état\n1;Renault;Clio;8990;Essence;Rouge;DISPO\n",
        [{"price": 8990, "fuel": "petrol", "colour": "red", "status": "live"}],
    ),
    "a condition stays one": (
        "a.csv", "id;marca;modelo;precio;estado\n1;SEAT;León;17.900;Nuevo\n2;Dacia;Duster;11.500;Usado\n",
        [{"status": "", "condition": "new"}, {"status": "", "condition": "used"}],
    ),
    "conditions under a heading of statuses": (
        "a.csv", f"{FORD},status\n1,Ford,Focus,28995,New\n2,Ford,Focus,8995,Used\n3,Ford,Focus,8995,Sold\n"
        "4,Ford,Focus,8995,Klopft\n",
        [{"status": "", "condition": "new"}, {"status": "", "condition": "used"}, {"status": "sold"},
         {"status": "draft"}],
    ),
    "a new entry is no new car": (
        "a.csv", f"{FORD},status\n1,Ford,Focus,28995,New\n2,Ford,Focus,8995,Available\n",
        [{"status": "draft"}, {"status": "live"}],
    ),
    "a sold car among conditions": (
        "a.csv", "Id;Marke;Modell;Preis;Zustand\n1;VW;Polo;8.900;Gebraucht\n2;VW;Polo;9.900;verkauft\n",
        [{"status": "", "condition": "used"}, {"status": "sold"}],
    ),
    "a state that is no region": (
        "a.csv", f"{FORD},state\n1,Ford,Focus,8995,FOR_SALE\n2,Ford,Focus,8995,SOLD\n",
        [{"status": "live", "place": ""}, {"status": "sold", "place": ""}],
    ),
    "a state that is a region": (
        "a.csv", f"{FORD},state\n1,Ford,Focus,8995,Texas\n2,Ford,Focus,8995,Utah\n",
        [{"status": "", "place": "Texas"}, {"status": "", "place": "Utah"}],
    ),
    "a region and a status": (
        "a.csv", f"{FORD},state\n1,Ford,Focus,8995,Texas\n2,Ford,Focus,8995,Sold\n",
        [{"status": "", "place": "Texas"}, {"status": "sold"}],
    ),
    "more statuses": (
        "a.csv", f"{FORD},status\n1,Ford,Focus,8995,Trattativa in corso\n2,Ford,Focus,8995,Aktualne\n",
        [{"status": "reserved"}, {"status": "live"}],
    ),
    "pence in a column of their own": (
        "a.csv", f"{FORD},pence\n1,Ford,Focus,8995,50\n2,Ford,Focus,7995,00\n3,Ford,Focus,12995,1299550\n",
        [{"price": Decimal("8995.50")}, {"price": Decimal(7995)}, {"price": Decimal("12995.50")}],
    ),
    "an amount and its minor part": (
        "a.json", '[{"id":"1","make":"Ford","model":"Focus","price":{"amount":8995,"minor":99,"currency":"GBP"}}]',
        [{"price": Decimal("8995.99"), "currency": "GBP"}],
    ),
    "pence by a column of units": (
        "a.json",
        '[{"id":"1","make":"Ford","model":"Focus","pricing":{"retail":{"amount":899500,"unit":"pence"}}},'
        '{"id":"2","make":"Ford","model":"Ka","pricing":{"retail":{"amount":399500,"unit":"pence"}}}]',
        [{"price": Decimal(8995), "currency": "GBP"}, {"price": Decimal(3995)}],
    ),
    "towns with names like statuses": (
        "a.csv", f"{FORD},city\n1,Ford,Focus,8995,Salt\n2,Ford,Focus,8995,Reserve\n3,Ford,Focus,8995,Deposit\n",
        [{"status": "", "place": "Salt"}, {"status": "", "place": "Reserve"}, {"status": "", "place": "Deposit"}],
    ),
    "pence that two columns name": (
        "a.csv", "id,make,model,price_pence,currency\n1,Ford,Focus,899550,GBX\n2,Ford,Focus,899550,pence\n"
        "3,Ford,Focus,899550,GBP\n",
        [{"price": Decimal("8995.50"), "currency": "GBP"}] * 3,
    ),
    "units with a currency": (
        "a.csv", f"{FORD},currency\n1,Ford,Focus,899550,GBp\n2,Ford,Focus,899550,GBP pence\n"
        "3,Ford,Focus,899550,EUR cents\n4,Ford,Focus,8995.50,GBP\n5,Ford,Focus,8995.50,gbp\n",
        [{"price": Decimal("8995.50"), "currency": code} for code in ("GBP", "GBP", "EUR", "GBP", "GBP")],
    ),
    "centavos and minor units": (
        "a.json", '[{"id":"1","make":"Ford","model":"Ka","precio_centavos":899550},'
        '{"id":"2","make":"Ford","model":"Ka","price_minor_units":899550}]',
        [{"price": Decimal("8995.50")}] * 2,
    ),
    "pence without tax": (
        "a.csv", "id,make,model,price_ex_vat_pence\n1,Ford,Focus,899500\n2,Ford,Focus,7495.83\n",
        [{"price": Decimal("10794.00")}, {"price": Decimal("8995.00")}],
    ),
    "pence with tax beside pence without": (
        "a.csv", "id,make,model,net_price_pence,price_pence\n1,Ford,Focus,749583,899500\n2,Ford,Focus,749583,\n",
        [{"price": Decimal("8995.00")}, {"price": Decimal("8995.00")}],
    ),
    "statuses of data frames": (
        "a.csv", f"{FORD},status\n1,Ford,Focus,8995,1.0\n2,Ford,Focus,8995,0.0\n3,Ford,Focus,8995,schema.org/InStock\n",
        [{"status": "live"}, {"status": "withdrawn"}, {"status": "live"}],
    ),
    "all of a price in pence": (
        "a.csv", "id,make,model,price_pence\n1,Ford,Focus,899550\n", [{"price": Decimal("8995.50")}],
    ),
    "the car BMW 2002 and the year 2002": (
        "a.csv", "id,title,price\n1,BMW 2002,18995\n2,2002 BMW 320i,2495\n3,BMW 2002 320d SE,1995\n"
        "4,BMW 2002 tii 1973,38995\n5,1974 BMW 2002 Turbo,88000\n6,BMW 320i 2002,2000\n",
        [
            {"model": "2002", "year": None}, {"model": "3 Series", "year": 2002}, {"model": "3 Series", "year": 2002},
            {"model": "2002", "year": 1973}, {"model": "2002", "year": 1974}, {"model": "3 Series", "year": 2002},
        ],
    ),
    "the model 2002 and its trim": (
        "a.csv", "id,make,model,year,price\n1,BMW,2002 tii,1973,38995\n",
        [{"model": "2002", "built_title": "BMW 2002 tii", "year": 1973}],
    ),
    "years in titles": (
        "a.csv", "id,title,price\n1,Ford Focus Titanium 2016,8995\n2,2019 (69) Audi A4 Avant 40 TDI,18995\n"
        '3,"VW Golf VII Highline, Bj. 2015, 1. Hand",9900\n4,Peugeot 2008,9900\n',
        [
            {"model": "Focus", "year": 2016}, {"make": "Audi", "model": "A4", "year": 2019},
            {"model": "Golf", "year": 2015}, {"model": "2008", "year": None},
        ],
    ),
    "the power of an engine": (
        "a.json",
        '[{"id":"1","make":"Jeep","model":"Wrangler","price":9000,"engine":{"displacement":"2.0L","horsepower":270}}]',
        [{"engine_l": 2.0, "power_kw": 201}],
    ),
    "words before a price": (
        "a.csv", f"{FORD}\n1,Ford,Focus,Reserved - £8995\n2,Ford,Focus,was £9995 now £8995\n3,Ford,Focus,£8995 SOLD\n",
        [{"price": 8995, "status": "reserved"}, {"price": 8995, "status": ""}, {"price": 8995, "status": "sold"}],
    ),
    "a status beside a price": (
        "a.csv", f"{FORD}\n1,Ford,Focus,8995 reserved\n2,Ford,Focus,Sold: 8995\n3,Ford,Focus,8995 EUR sold\n"
        "4,Ford,Focus,R$ 8.995 vendido\n5,Ford,Focus,8 995 vendu\n6,Ford,Focus,8995 kr\n",
        [
            {"price": 8995, "status": "reserved"}, {"price": 8995, "status": "sold"},
            {"price": 8995, "status": "sold", "currency": "EUR"}, {"price": 8995, "status": "sold", "currency": "BRL"},
            {"price": 8995, "status": "sold"}, {"status": ""},
        ],
    ),
    "two columns of statuses": (
        "a.csv", f"{FORD},status,availability\n1,Ford,Focus,8995,active,sold\n2,Ford,Focus,8995,active,in stock\n"
        "3,Ford,Focus,8995,reserved,not available\n4,Ford,Focus,8995,Klopft,in stock\n",
        [{"status": "sold"}, {"status": "live"}, {"status": "reserved"}, {"status": "live"}],
    ),
    "the year 2002 before words and a model": (
        "a.csv", "id,title,price\n1,BMW 2002 SE 320d,1995\n2,BMW 2002 (52) 318i SE,1995\n3,BMW 2002 3.0 X5,1995\n"
        "4,BMW 2002 Baur Cabriolet 1974,38995\n5,Peugeot 2008 1.2 Allure,9995\n",
        [
            {"model": "3 Series", "year": 2002}, {"model": "3 Series", "year": 2002}, {"model": "X5", "year": 2002},
            {"model": "2002", "year": 1974}, {"model": "2008", "year": None},
        ],
    ),
    "a status of the price": ("a.csv", f"{FORD},price status\n1,Ford,Focus,8995,SOLD\n", [{"status": "sold"}]),
    "German availability": (
        "a.csv", "id;Marke;Modell;Preis;Verfügbarkeit\n1;VW;Polo;8.900;ab sofort\n2;VW;Polo;8.900;in Kürze\n",
        [{"status": "live"}, {"status": "draft"}],
    ),
    "a prospect beside its car": (
        "a.xml",
        "<adf><prospect status='new'><id source='site'>L-77</id><vehicle interest='trade-in'><make>Kia</make>"
        "<model>Rio</model><price>900</price></vehicle><vehicle interest='buy' status='used'><stock>V-1</stock>"
        "<year>2018</year><make>Ford</make><model>Focus</model><price type='msrp'>24000</price>"
        "<price type='asking'>8995</price></vehicle><customer><contact><name part='full'>Ann Lee</name>"
        "<phone>555</phone><address><city>Reno</city></address></contact></customer><vendor><vendorname>Acme</vendorname>"
        "<contact><name>Acme</name><address><city>Truckee</city></address></contact></vendor></prospect></adf>",
        [{"external_id": "V-1", "model": "Focus", "price": 8995, "status": "", "condition": "used", "title": "",
          "place": "Truckee", "seller_name": "Acme", "seller_phone": ""}],
    ),
    "a prospect's id": (
        "a.xml",
        "<adf><prospect><id>L-77</id><vehicle><id>V-1</id><year>2018</year><make>Ford</make><model>Focus</model>"
        "<price>8995</price></vehicle></prospect><prospect><id>L-78</id><vehicle><year>2019</year><make>Kia</make>"
        "<model>Rio</model><price>7995</price></vehicle></prospect></adf>",
        [{"external_id": "V-1"}, {"external_id": None}],
    ),
    "ids of the north": ("a.csv", "Annonsnr;Märke;Modell;Pris\nS1;Volvo;V60;189 900 kr\n", [{"external_id": "S1"}]),
    "a Brazilian title": (
        "a.csv", "codigo;veículo;ano;valor;status\n1;VW Gol 1.0 MPI;2018/2019;R$ 42.900,00;Vendido\n",
        [{"make": "Volkswagen", "model": "Gol", "year": 2018, "price": Decimal(42_900), "status": "sold"}],
    ),
    "amounts that only fill a form": (
        "a.csv", f"{FORD}\n1,Ford,Focus,1\n2,Ford,Focus,£1\n3,Ford,Focus,111111\n4,Ford,Focus,9999999\n"
        "5,Ford,Focus,11111\n",
        [{"price": None}] * 4 + [{"price": Decimal(11_111)}],
    ),
    "a code beside a dollar sign": (
        "a.csv", f'{FORD}\n1,Ford,Focus,"$12,995 CAD"\n2,Ford,Focus,"AUD $18,990"\n3,Ford,Focus,"US$ 9,990"\n',
        [{"currency": "CAD"}, {"currency": "AUD"}, {"currency": "USD"}],
    ),
    "the tax beside a price": (
        "a.csv", "id;marke;modell;preis\n1;VW;Golf;9950 EUR (MwSt. ausweisbar)\n2;VW;Golf;9.950 € §25a UStG\n"
        "3;VW;Golf;9.950 €\n",
        [{"price": Decimal(9_950), "vat": "reclaimable"}, {"price": Decimal(9_950), "vat": "margin"}, {"vat": ""}],
    ),
    "texts that several systems have escaped": (
        "a.csv", f"{FORD},description,title\n"
        "1,Ford,Focus,8995,Nav &amp;amp;amp; &amp;lt;b&amp;gt;DAB&amp;lt;/b&amp;gt;\\r\\nFSH C:\\new,"
        "Ford Focus\\nTop<br>Car\n",
        [{"description": "Nav & DAB\nFSH C:\\new", "title": "Ford Focus Top Car"}],
    ),
    "one model in another order and with letters behind its code": (
        "a.csv", f"{FORD}\n1,Citroën,C4 Grand Picasso Exclusive,9000\n2,Infiniti,Q50S,9000\n"
        "3,Ford,F-250SD XLT,9000\n",
        [{"model": "Grand C4 Picasso", "built_title": "Citroen Grand C4 Picasso Exclusive"},
         {"model": "Q50", "built_title": "Infiniti Q50 Q50S"},
         {"model": "F-250", "built_title": "Ford F-250 F-250SD XLT"}],
    ),
    "statuses before and behind a heading": (
        "a.csv", "id,title,price\n1,SOLD Ford Focus 2018,1000\n2,Ford Focus (RESERVED),1000\n"
        "3,**DEPOSIT TAKEN** Ford Focus,1000\n"
        "4,Ford Focus - verkauft!,1000\n5,Ford Focus (Automatic),1000\n6,FORD FOCUS ST,1000\n7,RESERVE VW Golf,1000\n",
        [{"status": "sold"}, {"status": "reserved"}, {"status": "reserved"}, {"status": "sold"}, {"status": ""},
         {"status": ""}, {"status": ""}],
    ),
    "values that name themselves, in XML": (
        "a.xml",
        "<ads><ad id='7'><price><value>8995</value><gross_net>net</gross_net></price><params>"
        "<param name='make'>ford</param><param name='model'>focus</param><param name='year'>2018</param>"
        + "".join(f"<param name='extra{number}'>1</param>" for number in range(12))
        + "<param name='mileage' unit='mi'>10000</param><param name='transmission'>all-wheel-auto</param>"
        "<param name='gearbox'>manual</param><param name='nr_seats' value='5'/></params></ad></ads>",
        [{"external_id": "7", "make": "Ford", "model": "Focus", "year": 2018, "mileage_km": 16093, "drive": "all",
          "gearbox": "manual", "seats": 5, "vat": "added"}],
    ),
    "values that name themselves, in JSON": (
        "a.json",
        '[{"id": "7", "price": 8995, "attributes": [{"key": "make", "value": "Ford"}, {"key": "model", "value":'
        '"Focus"}, {"name": "Rok produkcji", "key": "y", "value": {"label": "2018"}}],'
        '"features": [{"name": "ABS", "value": true}, {"name": "ESP", "value": false}]}]',
        [{"make": "Ford", "model": "Focus", "year": 2018, "tags": ("abs",)}],
    ),
    "what stands beside the cars of a graph": (
        "a.json",
        '{"@graph": [{"@type": "AutoDealer", "name": "Garage du Lac"}, {"@type": "Car", "sku": "1", "name": "Kia Rio",'
        '"brand": "Kia", "model": "Rio", "offers": {"price": 8995}}, {"@type": "Car", "sku": "2", "name": "Kia Rio",'
        '"brand": "Kia", "model": "Rio", "offers": {"price": 8996}}]}',
        [{"external_id": "1", "model": "Rio"}, {"external_id": "2"}],
    ),
    "mil in an attribute": (
        "a.xml",
        "<Fordon><Bil><id>1</id><Märke>Volvo</Märke><Modell>V60</Modell><Miltal enhet='mil'>8450</Miltal></Bil>"
        "<Bil><id>2</id><Märke>Volvo</Märke><Modell>V60</Modell><Miltal enhet='km'>8450</Miltal></Bil></Fordon>",
        [{"mileage_km": 84500}, {"mileage_km": 8450}],
    ),
    "a heading among stars": (
        "a.csv", "id,title,price\n1,*** STUNNING *** Audi A3 2.0 TDI,9000\n", [{"make": "Audi", "model": "A3"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_the_trade_is_read_field_by_field(tmp_path, kind):
    name, text, expected = KINDS[kind]
    rows = rows_of(tmp_path, name, text)
    assert len(rows) == len(expected)
    assert [
        {field: getattr(row, field) for field in fields} for row, fields in zip(rows, expected, strict=True)
    ] == expected


def rows_of(tmp_path, name, text, **options):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with open_reading(path, ImportOptions(**options)) as reading:
        readings = [reading.reader.read(record.cells) for record in reading.rows]
    assert all(each.row for each in readings), [each.problems for each in readings]
    return [each.row for each in readings]


def test_a_column_that_holds_statuses_makes_an_unknown_one_a_draft(tmp_path):
    known = "".join(f"{number},Ford,Focus,8995,Vendido\n" for number in range(500))  # more than is looked at beforehand
    rows = rows_of(tmp_path, "a.csv", f"{FORD},estado\n{known}501,Ford,Focus,8995,Klopft\n")
    assert rows[-1].status == "draft"


@pytest.mark.parametrize("text", [
    "Available", "In Stock", "Published", "Publish", "Enabled", "Available for sale", "Available to reserve", "1.0",
    "verfügbar", "veröffentlicht", "sofort lieferbar", "Ja", "disponible immédiatement", "Sur parc", "Oui",
    "A la venta", "Entrega inmediata", "Publicada", "Attiva", "In pronta consegna", "Sì", "Uit voorraad",
    "Gepubliceerd", "na stanie", "dostępne", "od ręki", "Tak", "volné", "Na prodej", "Ano", "ledig", "Finns i lager",
    "Säljes", "Selges", "Sælges",
    "Опубликовано", "доступен", "Есть в наличии", "Em estoque", "Pronta entrega", "Sim", "Myynnissä", "stokta", "有货",
])  # fmt: skip
def test_a_car_that_can_be_had_is_live_in_every_language(tmp_path, text):
    (row,) = rows_of(tmp_path, "a.csv", f"{FORD},status\n1,Ford,Focus,8995,{text}\n")
    assert row.status == "live"


@pytest.mark.parametrize("text", [
    "not available", "Nicht lieferbar", "nie dostępne", "non disponible", "ej ledig", "ikke ledig", "не доступен",
    "unpublished", "not published", "disabled", "soon", "Neu", "2",
])  # fmt: skip
def test_a_denied_or_unknown_status_is_never_live(tmp_path, text):
    (row,) = rows_of(tmp_path, "a.csv", f"{FORD},status\n1,Ford,Focus,8995,{text}\n")
    assert row.status in ("draft", "withdrawn")


def test_what_an_operator_mapped_is_no_status_by_its_values(tmp_path):
    (row,) = rows_of(tmp_path, "a.csv", f"{FORD},estado\n1,Ford,Focus,8995,Activo\n", columns={"estado": "tags"})
    assert (row.status, row.tags) == ("", ("activo",))


@pytest.mark.parametrize(("setting", "currency", "kilowatts", "said"), [
    ("", "GBP", 82, "horsepower"), ("kW", "GBP", 110, "kilowatts (the unit of this marketplace)"),
    ("hp", "GBP", 82, "horsepower"), ("kW", "USD", 82, "horsepower"),  # a file of another market
])  # fmt: skip
def test_a_power_without_a_unit_is_in_that_of_the_marketplace(tmp_path, settings, setting, currency, kilowatts, said):
    settings.MARKET_CURRENCY, settings.MARKET_POWER = "GBP", setting
    path = tmp_path / "a.csv"
    path.write_text(f"{FORD},power\n1,Ford,Focus,8995,110\n", encoding="utf-8")
    with open_reading(path, ImportOptions(currency=currency)) as reading:
        (row,) = [reading.reader.read(record.cells).row for record in reading.rows]
        assert row.power_kw == kilowatts
        assert any(said in assumption for assumption in reading.conventions.assumptions)
