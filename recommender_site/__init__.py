"""Wiring. This package is imported before any other, so what must be set before numpy loads is set here."""

import os

# Our matrices are small and our processes many: a thread pool in each only makes them wait for one another. On two busy
# cores a 128 x 128 Cholesky took 50 ms with OpenBLAS's own threads and 0.2 ms without.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from recommender_site.celery import app as celery_app

__all__ = ["celery_app"]
