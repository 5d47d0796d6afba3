FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

RUN useradd --uid 1000 --create-home forecourt
WORKDIR /app

# Without the embedded servers of `make run`: an image talks to real ones.
COPY requirements*.txt ./
RUN pip install -r requirements-image.txt
# What is needed beside them, by name: --build-arg EXTRAS=cluster for trainings on a cluster.
ARG EXTRAS=""
RUN if [ -n "$EXTRAS" ]; then pip install -r "requirements-$EXTRAS.txt"; fi

COPY . .
RUN DJANGO_SETTINGS_MODULE=recommender_site.settings_offline python -m django prepare --static-only
# Rating models and the log are written by the server's own user; /api/info says when the image was built.
RUN mkdir -p var/ratings var/log && chown -R forecourt var/ratings var/log && date -u +%Y-%m-%dT%H:%M:%SZ > BUILT_AT

USER forecourt
ENV HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:8000/healthz', timeout=4)"]
CMD ["python", "-m", "gunicorn", "--config", "python:recommender_site.gunicorn_conf", "recommender_site.wsgi:application"]
