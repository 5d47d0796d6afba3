"""``/api/schema``: the description of the API, made once per process and format, in English.

Making it takes seconds of processor time, and it changes only with the code and with demo mode.
"""

import hashlib
import threading
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from django.utils import translation
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

BROWSERS_KEEP_IT = "public, max-age=300"  # seconds


class Description(NamedTuple):
    body: bytes
    etag: str


_descriptions: dict[tuple[str, bool], Description] = {}  # bounded by the formats
_one_at_a_time = threading.Lock()


class SchemaView(SpectacularAPIView):
    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        renderer = request.accepted_renderer
        description = self._description(request, *args, **kwargs)
        answer = HttpResponse(
            description.body,
            content_type=renderer.media_type,
            headers={
                "ETag": description.etag,
                "Cache-Control": BROWSERS_KEEP_IT,
                "Vary": "Accept",  # by language only where ?lang= asks
                "Content-Disposition": f'inline; filename="forecourt.{renderer.format}"',
            },
        )
        return get_conditional_response(request._request, etag=description.etag, response=answer) or answer

    def _description(self, request: Request, *args: Any, **kwargs: Any) -> Description:
        key = (type(request.accepted_renderer).__name__, settings.DEMO_MODE)
        with _one_at_a_time:
            if key not in _descriptions:
                with translation.override(settings.LANGUAGE_CODE):
                    data = super().get(request, *args, **kwargs).data  # type: ignore[no-untyped-call]
                    body = bytes(request.accepted_renderer.render(data, renderer_context={}))  # type: ignore[arg-type]
                _descriptions[key] = Description(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
            return _descriptions[key]
