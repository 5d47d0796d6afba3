"""gunicorn's threaded worker, with no change of thread for the questions that are answered fastest.

Handing a connection to another thread and back costs as much as ``/infer`` itself takes. When the whole of such a
question has already arrived, the thread that noticed answers it; everything else goes to the pool as ever.
"""

import re
import socket
from concurrent.futures import Future

from gunicorn.http.message import Request
from gunicorn.workers.gthread import TConn, ThreadWorker

ANSWERS_PER_CONNECTION = 50
PEEKED_BYTES = 16_384  # a question of 128 numbers takes 3,000
QUICK = re.compile(rb"POST /infer[/? ]")
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})\r\n", re.IGNORECASE)


class QuickWorker(ThreadWorker):
    def enqueue_req(self, conn: TConn) -> None:
        """Answer what is quick at once, and leave the rest to the pool."""
        if not has_a_quick_question(conn.sock):
            super().enqueue_req(conn)
            return
        conn.data_ready = True
        done: Future = Future()
        done.set_result(self.handle(conn))  # what goes wrong inside is logged and answered there
        self.finish_request(conn, done)

    def handle_request(self, req: Request, conn: TConn) -> bool:
        """Let a connection go after a while: who keeps one meets the process that has most time when it comes again."""
        conn.n_answered = getattr(conn, "n_answered", 0) + 1
        if conn.n_answered >= ANSWERS_PER_CONNECTION:
            req.force_close()
        return super().handle_request(req, conn)


def has_a_quick_question(sock: socket.socket) -> bool:
    """Whether a question to ``/infer`` waits to be read, from its first byte to its last."""
    try:
        waiting = sock.recv(PEEKED_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:  # nothing yet, or nobody any more
        return False
    return is_a_quick_question(waiting)


def is_a_quick_question(waiting: bytes) -> bool:
    if not QUICK.match(waiting):
        return False
    end_of_head = waiting.find(b"\r\n\r\n")
    length = CONTENT_LENGTH.search(waiting, 0, end_of_head + 2) if end_of_head > 0 else None
    return length is not None and len(waiting) >= end_of_head + 4 + int(length[1])


def wait_for_questions(listener: socket.socket) -> None:
    """Let a connection be accepted only when something was said on it, where the system can do that.

    Then what a new connection asks is there to be looked at, and one that says nothing holds no thread.
    """
    if hasattr(socket, "TCP_DEFER_ACCEPT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
