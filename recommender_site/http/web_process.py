"""A web process of gunicorn, with threads, that goes on serving when gunicorn's main process is killed."""

import os
import time

from gunicorn.workers.gthread import ThreadWorker

LONGEST_SECONDS = 60.0  # without a main process: longer than another one needs to start


class WebProcess(ThreadWorker):
    """gunicorn's threaded worker, which would end with its parent.

    Where another program holds the socket (``--bind fd://``), the next main process listens on the same one: until its
    web processes serve, the former ones do. Otherwise the address must become free for it, and they end at once.
    """

    _alone_since: float | None = None  # monotonic seconds

    def is_parent_alive(self) -> bool:
        if self.ppid == os.getppid():
            return True
        if not all(bind.startswith("fd://") for bind in self.cfg.settings["bind"].get()):
            return bool(super().is_parent_alive())
        if self._alone_since is None:
            self._alone_since = time.monotonic()
            self.log.warning("The main process is gone; going on until another one serves")
        return time.monotonic() - self._alone_since < LONGEST_SECONDS
