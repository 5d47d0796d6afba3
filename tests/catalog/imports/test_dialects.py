"""Files as other programs write them; each is read through to its cells."""

import bz2
import codecs
import gzip
import lzma
import zipfile

import pytest

from catalog.exceptions import FileRefused, HeaderRefused
from catalog.imports.dialects import open_rows
from catalog.imports.headings import HeaderReader
from catalog.imports.records import MAX_LINE_CHARACTERS

TABLE = "make,model,price\nFord,Focus,8000\nKia,Rio,7000\n"
CELLS = [["Ford", "Focus", "8000"], ["Kia", "Rio", "7000"]]


@pytest.fixture
def read(tmp_path):
    """Write bytes or text to a file and read it back: (the open file, its cells, its broken records)."""

    def read(content, name="cars.csv", **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with open_rows(path, HeaderReader(), **options) as rows:
            records = list(rows)
        return rows, [record.cells for record in records if not record.broken], [r.broken for r in records if r.broken]

    return read


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^"])
def test_the_separator_is_found(read, delimiter):
    rows, cells, _ = read(TABLE.replace(",", delimiter))
    assert cells == CELLS
    assert rows.dialect.delimiter == delimiter


def test_decimal_commas_do_not_make_a_semicolon_file_a_comma_file(read):
    _, cells, _ = read("Marke;Modell;Preis\nFord;Focus;8000,50\nKia;Rio;7000,00\n")
    assert cells[0] == ["Ford", "Focus", "8000,50"]


def test_the_separator_can_be_said(read):
    assert read(TABLE.replace(",", "~"), delimiter="~")[1] == CELLS
    assert read(TABLE.replace(",", "\t"), delimiter="tab")[1] == CELLS
    with pytest.raises(FileRefused, match="one character"):
        read(TABLE, delimiter="::")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_known_by_their_content_and_not_their_name(read, pack):
    assert read(pack(TABLE.encode()), name="cars.txt")[1] == CELLS


def test_a_zip_archive_of_one_table_is_unpacked(tmp_path):
    path = tmp_path / "cars.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cars.csv", TABLE)
    with open_rows(path, HeaderReader()) as rows:
        assert [record.cells for record in rows] == CELLS


def test_a_zip_archive_of_several_files_is_refused(tmp_path):
    path = tmp_path / "cars.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TABLE)
        archive.writestr("b.csv", TABLE)
    with pytest.raises(FileRefused, match="holds 2 files"):
        open_rows(path, HeaderReader())


@pytest.mark.parametrize(
    ("encoding", "mark", "label"),
    [
        ("utf-8", b"", "utf-8"),
        ("utf-8", codecs.BOM_UTF8, "utf-8"),
        ("cp1252", b"", "windows-1252"),
        ("latin-1", b"", "windows-1252"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16"),
        ("utf-16-le", b"", "utf-16-le"),
    ],
)
def test_the_encoding_is_found(read, encoding, mark, label):
    rows, cells, _ = read(
        mark + "Marke;Modell;Preis;Ort\nŠkoda;Fabia;8000;München\n".replace("Š", "S").encode(encoding)
    )
    assert cells == [["Skoda", "Fabia", "8000", "München"]]
    assert rows.headings[0] == "Marke"
    assert rows.dialect.encoding == label


def test_a_late_latin_1_byte_costs_no_row(read):
    """The first quarter of a megabyte is plain ASCII, so the file looks like UTF-8."""
    table = "make,model,price\n" + "Ford,Focus,8000\n" * 20_000
    _, cells, _ = read(table.encode() + "Citroën,C3,7000\n".encode("latin-1"))
    assert len(cells) == 20_001
    assert cells[-1][0] == "Citroën"


def test_a_file_of_two_encodings_keeps_both_kinds_of_umlaut(read):
    _, cells, _ = read("Marke;Modell;Ort\nKia;Rio;Köln\n".encode() + "Kia;Rio;Münster\n".encode("cp1252"))
    assert [row[2] for row in cells] == ["Köln", "Münster"]


def test_an_encoding_can_be_said(read):
    assert read("make;model;place\nKia;Rio;Łódź\n".encode("cp1250"), encoding="cp1250")[1][0][2] == "Łódź"
    with pytest.raises(FileRefused, match="no encoding “klingon”"):
        read(TABLE, encoding="klingon")


def test_excels_separator_line_is_obeyed(read):
    _, cells, _ = read("sep=;\r\nmake;model;price\r\nFord;Focus;8000\r\n".encode("utf-16"))
    assert cells == [["Ford", "Focus", "8000"]]


def test_titles_and_blank_lines_above_the_header_are_passed_over(read):
    rows, cells, _ = read(f"Stock of Smith & Sons,,\nas of 1 March,,\n\n{TABLE}")
    assert rows.headings == ["make", "model", "price"]
    assert cells == CELLS


def test_quoted_texts_may_go_over_several_lines(read):
    text = 'A fine car:\nalloys, navi, leather\n"one" owner'
    _, cells, _ = read(f'make,model,description\nFord,Focus,"{text.replace(chr(34), chr(34) * 2)}"\nKia,Rio,short\n')
    assert cells == [["Ford", "Focus", text], ["Kia", "Rio", "short"]]


def test_a_line_of_equipment_in_a_quoted_text_is_not_taken_for_a_row(read):
    row = 'Ford,Focus,8000,2015,"Has everything:\nabs, esp, navi, leather, alloys"\n'
    _, cells, _ = read("make,model,price,year,description\n" + "Kia,Rio,7000,2014,ok\n" * 5 + row)
    assert len(cells) == 6
    assert cells[-1][4].endswith("alloys")


def test_a_quote_that_is_never_closed_costs_no_other_row(read):
    good = "Ford,Focus,8000,2015,fine\n"
    broken = 'Kia,Rio,7000,2014,"never closed\n'
    _, cells, _ = read("make,model,price,year,description\n" + good * 3 + broken + good * 3)
    assert len(cells) == 7
    assert cells[3] == ["Kia", "Rio", "7000", "2014", "never closed"]


def test_a_stray_quote_that_meets_another_costs_no_row_between_them(read):
    lines = ["make,model,description,year,price"] + ["Ford,Focus,fine,2015,8000"] * 3
    lines += ['Kia,Rio,"nice,2014,7000', 'Audi,A1,"small",2016,9000', "Seat,Leon,red,2017,9900"]
    _, cells, _ = read("\n".join(lines))
    assert [row[0] for row in cells] == ["Ford"] * 3 + ["Kia", "Audi", "Seat"]
    assert cells[4] == ["Audi", "A1", "small", "2016", "9000"]


def test_quotes_escaped_by_a_backslash_are_understood(read):
    _, cells, _ = read('make,model,description\nFord,Focus,"He said \\"nice, car\\" twice"\n')
    assert cells == [["Ford", "Focus", 'He said "nice, car" twice']]


def test_a_backslash_elsewhere_is_a_backslash(read):
    assert read("make,model,description\nFord,Focus,C:\\cars\n")[1][0][2] == "C:\\cars"


def test_single_quotes_are_understood_where_every_cell_has_them(read):
    assert read("'make';'model';'price'\n'Kia';'Cee''d';'7000'\n")[1] == [["Kia", "Cee'd", "7000"]]


def test_lines_that_stand_in_quotes_as_a_whole_are_unwrapped(read):
    assert read('"make,model,price"\n"Ford,Focus,8000"\n"Kia,Rio,""7,000"""\n')[1] == [
        ["Ford", "Focus", "8000"], ["Kia", "Rio", "7,000"],
    ]  # fmt: skip


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_ending_is_understood(read, ending):
    assert read(TABLE.replace("\n", ending))[1] == CELLS


def test_nul_bytes_are_passed_over(read):
    assert read(TABLE.replace("Ford", "Fo\x00rd").replace("7000", "7000\x00"))[1] == CELLS


def test_a_line_of_ten_megabytes_is_read(read):
    _, cells, broken = read('make,model,description\nFord,Focus,"' + "word " * 2_000_000 + '"\nKia,Rio,ok\n')
    assert [row[1] for row in cells] == ["Focus", "Rio"]
    assert not broken


def test_a_line_longer_than_we_take_costs_one_row(read):
    _, cells, broken = read("make,model,price\nFord,Focus," + "9" * (MAX_LINE_CHARACTERS + 5) + "\nKia,Rio,7000\n")
    assert cells == [["Kia", "Rio", "7000"]]
    assert broken == [f"a line of more than {MAX_LINE_CHARACTERS:,} characters"]


def test_empty_lines_are_no_rows_but_lines_of_separators_are(read):
    _, cells, _ = read("make,model,price\n\nFord,Focus,8000\n,,\n\n")
    assert cells == [["Ford", "Focus", "8000"], ["", "", ""]]


def test_nameless_columns_at_the_end_are_no_columns(read):
    assert read("make;model;price;;\nFord;Focus;8000;;\n")[0].headings == ["make", "model", "price"]


def test_an_archive_that_breaks_off_says_after_which_row(read):
    table = "make,model,price\n" + "".join(f"Ford,Focus,{number * 7919 % 99991}\n" for number in range(200_000))
    packed = gzip.compress(table.encode())
    with pytest.raises(FileRefused, match=r"breaks off after row \d+"):
        read(packed[: len(packed) * 9 // 10])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n  \n\t\n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"PK\x03\x04" + bytes(100), "damaged zip"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "an Excel workbook"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"PAR1" + bytes(100), "a Parquet file"),
        (bytes(range(256)) * 20, "not a text file"),
        (b"\x1f\x8b" + b"junk" * 20, "cannot be unpacked"),
    ],
)
def test_what_is_no_table_of_text_is_refused_by_its_name(read, content, message):
    with pytest.raises(FileRefused, match=message):
        read(content)


def test_an_excel_workbook_is_recognised_inside_its_zip(tmp_path):
    path = tmp_path / "cars.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(FileRefused, match="save it as CSV"):
        open_rows(path, HeaderReader())


def test_missing_files_and_directories_are_refused(tmp_path):
    with pytest.raises(FileRefused, match="There is no file"):
        open_rows(tmp_path / "nothing.csv", HeaderReader())
    with pytest.raises(FileRefused, match="is a directory"):
        open_rows(tmp_path, HeaderReader())


def test_a_header_that_is_not_understood_is_quoted_with_advice(read):
    with pytest.raises(HeaderRefused, match=r"reads: Hersteler, Preiss.*“Preiss” may be price.*--map"):
        read("Hersteler;Preiss\nFord;8000\n")
