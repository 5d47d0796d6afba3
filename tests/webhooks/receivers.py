"""A receiver of webhooks in the test's own process: it answers as each test wants, and keeps what it was sent."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from webhooks.delivery import give_secret
from webhooks.models import Endpoint


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, dict(self.headers), body.decode()))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self) if callable(answer) else self.reply(answer)

    def reply(self, status, headers=None, body=b"thanks"):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Receiver(ThreadingHTTPServer):
    """``answers``: a status, or a function of the request, for each call in turn; the last one goes on."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.received, self.answers, self.is_released = [], [200], threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook?shop=1"

    def handle_error(self, request, client_address):
        """A caller that hung up is what some tests want."""

    def stop(self):
        self.is_released.set()
        self.shutdown()
        self.server_close()


def hang(handler):
    handler.server.is_released.wait(10)


def drip(handler):
    """A header that never ends, a byte at a time: each read is answered in time, the whole never is."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server.is_released.wait(0.05):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def hang_after_status(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.server.is_released.wait(10)


def endpoint_at(url, events=("listing.sold",), name="Shop", **fields):
    endpoint = Endpoint(name=name, url=url, events=list(events), **fields)
    give_secret(endpoint)
    endpoint.save()
    return endpoint
