"""JSON that comes in pieces (``Transfer-Encoding: chunked``) is put together before any parser reads it.

Django and REST framework go by Content-Length, which such a request lacks, and would find an empty body. Nothing but
JSON: what is larger than a JSON body may be has no business in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def with_whole_bodies(application: WSGIApplication) -> WSGIApplication:
    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "HTTP_TRANSFER_ENCODING" in environ and comes_in_pieces(environ):
            # a byte more than allowed is enough for the parser to refuse it
            body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
        return application(environ, start_response)

    return serve


def comes_in_pieces(environ: WSGIEnvironment) -> bool:
    is_chunked: bool = environ["HTTP_TRANSFER_ENCODING"].lower().rstrip().endswith("chunked")
    is_json: bool = environ.get("CONTENT_TYPE", "").lower().startswith("application/json")
    return is_chunked and is_json
