"""Files of a real SFTP server, of the library's own, in a thread of this process."""

import asyncio
import os
import threading

import asyncssh
import pytest

from web.fetching import FetchRefused
from web.sftp import SftpSource, fetch_sftp

NAME, WORD = "north", "a password"


class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == (NAME, WORD)


class Running:
    """An SFTP server of a directory, on a port of its own."""

    def __init__(self, root, client_key):
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.fingerprint = self.key.get_fingerprint()
        self.loop, started = asyncio.new_event_loop(), threading.Event()
        (root.parent / "authorized").write_bytes(client_key.export_public_key())

        async def serve():
            self.server = await asyncssh.listen(
                "127.0.0.1", 0, server_factory=Server, server_host_keys=[self.key],
                authorized_client_keys=str(root.parent / "authorized"),
                sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=os.fsencode(root)),
            )  # fmt: skip
            self.port = self.server.sockets[0].getsockname()[1]
            started.set()

        def run():
            self.loop.run_until_complete(serve())
            self.loop.run_forever()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert started.wait(20)

    def stop(self):
        async def end():
            self.server.close()
            await self.server.wait_closed()

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("sftp") / "root"
    (root / "out" / "sub.csv").mkdir(parents=True)
    for number, day in enumerate(["27", "28"]):
        path = root / "out" / f"stock-{day}.csv"
        path.write_text(f"id\n{day}\n" * 1_000)
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    (root / "out" / "notes.txt").write_text("none")
    return root


@pytest.fixture(scope="module")
def client_key():
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(scope="module")
def server(root, client_key):
    running = Running(root, client_key)
    yield running
    running.stop()


@pytest.fixture
def get(server, tmp_path):
    """Fetch a path; returns what came, and the file's text ('' where there is none)."""

    def get(path, *, allow_private=True, max_bytes=10**6, host="127.0.0.1", **changes):
        given = {"username": NAME, "password": WORD, "fingerprints": server.fingerprint} | changes
        source = SftpSource(address=f"sftp://{host}:{server.port}{path}", **given)
        target = tmp_path / "file"
        found = fetch_sftp(source, target, max_bytes=max_bytes, allow_private=allow_private)
        return found, target.read_text() if target.exists() else ""

    return get


@pytest.mark.parametrize(("path", "name"), [("/out/stock-27.csv", "stock-27.csv"), ("/out/*.csv", "stock-28.csv")])
def test_a_path_is_fetched_and_of_a_pattern_the_newest_file(get, root, path, name):
    found, text = get(path)
    assert (found.name, text) == (name, (root / "out" / name).read_text())


def test_a_file_that_is_known_is_not_fetched_again_until_it_changes(get, root):
    found, _ = get("/out/*.csv")
    (again, _), path = get("/out/*.csv", version=found.etag), root / "out" / "stock-28.csv"
    assert (again.is_modified, again.etag) == (False, found.etag)
    os.utime(path, (1_700_000_900, 1_700_000_900))
    assert get("/out/*.csv", version=found.etag)[0].is_modified


@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_a_private_key_opens_what_a_password_does(get, client_key, passphrase):
    text = client_key.export_private_key(passphrase=passphrase or None).decode()
    assert get("/out/stock-27.csv", private_key=text, password=passphrase)[0].is_modified


@pytest.mark.parametrize(
    ("path", "changes", "said"),
    [
        ("/out/stock-27.csv", {"fingerprints": ""}, "Write down the fingerprint .* shows SHA256:"),
        ("/out/stock-27.csv", {"fingerprints": "SHA256:abc"}, "shows another key .* SHA256:"),
        ("/out/stock-27.csv", {"allow_private": False}, "private network"),
        ("/out/stock-27.csv", {"password": "wrong"}, "does not let “north” in"),
        ("/out/stock-27.csv", {"username": "east"}, "does not let “east” in"),
        ("/out/stock-27.csv", {"private_key": "no key"}, "no private key"),
        ("/out/stock-27.csv", {"max_bytes": 100}, "more than"),
        ("/out/none.csv", {}, "“127.0.0.1”: "),
        ("/out/none-*.csv", {}, "No file in “/out” is called “none-"),
        ("/out/sub.csv", {}, "is no file"),
        ("/none/*.csv", {}, "“127.0.0.1”: "),
        ("/out/stock-27.csv", {"host": "no.invalid"}, "not known"),
        ("/", {}, "Write sftp://"),
        ("/x.csv", {"host": "user:word@127.0.0.1"}, "own fields"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(get, path, changes, said):
    with pytest.raises(FetchRefused, match=said):
        get(path, **changes)


def test_a_key_that_is_not_authorised_is_not_let_in(get):
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with pytest.raises(FetchRefused, match="does not let"):
        get("/out/stock-27.csv", private_key=key, password="")


def test_a_server_that_is_not_there_is_refused(tmp_path):
    source = SftpSource(address="sftp://127.0.0.1:9/x.csv", username="u", fingerprints="SHA256:x")
    with pytest.raises(FetchRefused, match="cannot be reached"):
        fetch_sftp(source, tmp_path / "x", max_bytes=10, allow_private=True)
