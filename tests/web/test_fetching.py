"""Files fetched from an address that a person typed: what is fetched, and that our own network is not reached."""

import socket
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from web import fetching
from web.fetching import FetchRefused, Source, fetch, is_public

CARS = b"make,model,year,price\nFord,Focus,2015,8000\n"


class Supplier(BaseHTTPRequestHandler):
    """A supplier's server: a stock file behind a password, with a version, and ways that lead elsewhere."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        if self.path == "/moved":
            return self.answer(302, {"Location": "/stock.csv"})
        if self.path.startswith("/to/"):
            return self.answer(302, {"Location": self.path.removeprefix("/to/")})
        if self.path.startswith("/status/"):
            return self.answer(int(self.path.removeprefix("/status/")))
        if self.path == "/loop":
            return self.answer(301, {"Location": "/loop"})
        if self.headers.get("Authorization") != "Basic " + b64encode(b"north:secret").decode():
            return self.answer(401)
        if self.headers.get("If-None-Match") == '"1"':
            return self.answer(304)
        return self.answer(200, {"ETag": '"1"', "Content-Length": str(len(CARS))}, CARS)

    def answer(self, status, headers=None, body=b""):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def supplier():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Supplier)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def address_of(server, path="/stock.csv"):
    return f"http://127.0.0.1:{server.server_port}{path}"


def source_at(server, path="/stock.csv", **known):
    return Source(address=address_of(server, path), username="north", password="secret", **known)


def fetch_here(source, tmp_path, **how):
    return fetch(source, tmp_path / "file", **{"max_bytes": 1_000, "allow_private": True} | how)


@pytest.mark.parametrize("path", ["/stock.csv", "/moved"])
def test_a_file_behind_a_password_is_fetched_with_its_name_and_version(supplier, tmp_path, path):
    found = fetch_here(source_at(supplier, path), tmp_path)
    assert (found.name, found.etag, found.is_modified) == ("stock.csv", '"1"', True)
    assert (tmp_path / "file").read_bytes() == CARS


def test_a_version_that_is_known_is_not_sent_again(supplier, tmp_path):
    assert not fetch_here(source_at(supplier, etag='"1"'), tmp_path).is_modified
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "user name and password"), (403, "does not let"), (404, "no such file"), (410, "removed"),
        (429, "too often"), (500, "on its side"), (503, "on its side"), (418, "answered 418."),
    ],
)  # fmt: skip
def test_a_refusal_says_what_its_status_means_to_the_operator(supplier, tmp_path, status, said):
    with pytest.raises(FetchRefused, match=f"answered {status}") as refusal:
        fetch_here(source_at(supplier, f"/status/{status}"), tmp_path)
    assert said in str(refusal.value)


def test_credentials_do_not_follow_to_another_host(supplier, tmp_path):
    other = ThreadingHTTPServer(("127.0.0.1", 0), Supplier)
    other.asked = []
    threading.Thread(target=other.serve_forever, daemon=True).start()
    with pytest.raises(FetchRefused, match="answered 401"):
        fetch_here(source_at(supplier, "/to/" + address_of(other)), tmp_path)
    other.shutdown()
    other.server_close()
    assert [headers.get("Authorization") for _, headers in other.asked] == [None]


@pytest.mark.parametrize(
    ("source", "how", "message"),
    [
        ({"path": "/loop"}, {}, "more than 5"),
        ({}, {"max_bytes": 10}, "MB"),
        ({}, {"allow_private": False}, "https://"),
        ({"path": "/to/file:///etc/passwd"}, {}, "https://"),
    ],
)
def test_what_cannot_be_had_is_refused_in_words(supplier, tmp_path, source, how, message):
    with pytest.raises(FetchRefused, match=message) as refusal:
        fetch_here(source_at(supplier, **source), tmp_path, **how)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "address", ["stock.csv", "ftp://example.com/a", "https://", "https://a:99999/", "//example.com"]
)
def test_other_addresses_are_refused(address, tmp_path):
    with pytest.raises(FetchRefused):
        fetch_here(Source(address=address), tmp_path)


PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "255.255.255.255",
    "224.0.0.1", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "ff02::1",
    "64:ff9b::7f00:1", "64:ff9b::a01:203", "2002:7f00:1::", "::127.0.0.1", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_our_own_network_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_an_address_of_the_internet_is(address):
    assert is_public(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254"])
def test_a_name_is_refused_by_what_it_stands_for(address, monkeypatch, tmp_path):
    """Also where only one of its addresses is private, and at every redirect."""
    public = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))
    found = [public, (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **how: found)
    with pytest.raises(FetchRefused, match="private network"):
        fetch(Source(address="https://stock.example.com/a.csv"), tmp_path / "file", max_bytes=10)


def test_a_redirect_to_our_own_network_is_refused(supplier, monkeypatch, tmp_path):
    monkeypatch.setattr(fetching, "is_public", lambda address: address != "127.0.0.2")
    monkeypatch.setattr(fetching, "split_address", lambda address, allow_private: fetching.urlsplit(address))
    with pytest.raises(FetchRefused, match="private network"):
        fetch_here(source_at(supplier, "/to/http://127.0.0.2/"), tmp_path, allow_private=False)
