"""The log file is shared by processes, rotated, and without secrets."""

import logging
import subprocess
import sys

import pytest

from web.logs import RedactingFormatter, SharedRotatingFileHandler, last_lines, log_files

WRITER = """
import logging, sys
from web.logs import SharedRotatingFileHandler
handler = SharedRotatingFileHandler(sys.argv[1], max_megabytes=0.01, n_kept=50)
for number in range(400):
    handler.emit(logging.makeLogRecord({"msg": f"{sys.argv[2]} {number} " + "x" * 50}))
"""


def record(message: str, **more) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, **more})


def test_no_line_of_several_processes_is_lost_or_broken_while_the_file_is_rotated(tmp_path):
    path = tmp_path / "shared.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"writer{n}"]) for n in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    lines = "".join(file.read_text() for file in log_files(path)).splitlines()
    assert len(log_files(path)) > 2
    assert sorted(lines) == sorted(f"writer{n} {number} " + "x" * 50 for n in range(3) for number in range(400))


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path):
    handler = SharedRotatingFileHandler(tmp_path / "a.log", 1, 2)
    handler.emit(record("before"))
    (tmp_path / "a.log").rename(tmp_path / "elsewhere")
    handler.emit(record("after"))
    handler.close()
    assert (tmp_path / "a.log").read_text() == "after\n"


def test_a_folder_that_cannot_be_written_to_is_reported_once(tmp_path, capsys):
    (tmp_path / "file").touch()
    handler = SharedRotatingFileHandler(tmp_path / "file" / "a.log", 1, 2)
    for _ in range(3):
        handler.emit(record("hello"))
    handler.close()
    assert capsys.readouterr().err.count("cannot write the log") == 1


@pytest.mark.parametrize(
    "secret",
    [
        "postgres://forecourt:{}@host/db", "Authorization: Bearer {}", "Api-Key {}", "X-Api-Key: {}",
        "password={}&user=ann", "token={} expired", "eyJhbGciOi.eyJ1c2VyX2lkIjo1.{}", "the key fc_{} was refused",
    ],
)  # fmt: skip
def test_secrets_are_hidden(secret):
    line = RedactingFormatter("%(message)s").format(record(secret.format("hunter2hunter2hunter2")))
    assert "hunter2" not in line
    assert "[hidden]" in line


def test_secrets_are_hidden_in_tracebacks_too():
    try:
        raise ValueError("redis://:hunter2@host does not answer")
    except ValueError:
        line = RedactingFormatter("%(message)s").format(record("oops", exc_info=sys.exc_info()))
    assert "hunter2" not in line
    assert "ValueError" in line


def test_what_is_no_secret_stays():
    text = "GET /api/log?full=1 https://example.com/a@b 12 tokens, the bearer of bad news"
    assert (
        RedactingFormatter("%(message)s").format(record(text)).startswith("GET /api/log?full=1 https://example.com/a@b")
    )


def test_the_last_lines_are_read_without_reading_all(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("".join(f"{number} {'y' * 100}\n" for number in range(10_000)))
    assert [line.split()[0] for line in last_lines(path, 3)] == ["9997", "9998", "9999"]
    assert last_lines(tmp_path / "nothing.log", 3) == []
    assert log_files(tmp_path / "nothing.log") == []
