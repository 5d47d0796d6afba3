"""Files that are sent to the admin: what is larger than an import may be is thrown away as it arrives.

Django would otherwise write any number of gigabytes to the disk before a form could say no.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, SkipFile

REFUSED = "forecourt.files_too_large"  # in request.META: the names of what was thrown away


class SizeLimit(FileUploadHandler):
    """The first of the handlers: it passes data on until there is too much of it."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._n_bytes = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self._n_bytes += len(raw_data)
        if self._n_bytes > settings.IMPORT_MAX_MB * 1024 * 1024:
            if self.request is not None:
                self.request.META.setdefault(REFUSED, []).append(self.file_name)
            raise SkipFile
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """The handlers behind this one keep the file."""
