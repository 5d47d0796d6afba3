# Forecourt needs Python 3.11 or newer with venv, and make. Everything else is fetched into .venv and var.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
RUN = .venv/bin/python
N ?= 2
PIP = $(RUN) -m pip --disable-pip-version-check install --quiet

export PIP_ROOT_USER_ACTION = ignore

.DEFAULT_GOAL := help
.PHONY: help run test axe lint format messages shell hooks secrets sdk clean environment development docs chaos soak bench bench-cluster manual

help:
	@echo "make run      start everything: database, broker, demo stock, first training, web, workers, beat"
	@echo "make test     linters, types, architecture and every test, in N=2 processes"
	@echo "make axe      every page in every look, light and dark, on a desk and a telephone, asked by axe-core"
	@echo "make manual   take the steps and pictures of docs/manual.md anew"
	@echo "make lint     the same without the tests"
	@echo "make format   let ruff put the code in shape"
	@echo "make messages  collect what is to be translated into locale, and compile it"
	@echo "make chaos    faults under traffic on a site of its own, and what holds after each; about half an hour"
	@echo "make soak     twenty minutes of traffic on a site of its own, and whether its memory stays flat"
	@echo "make bench    the benchmarks in one table, and in var/bench.json; within twenty minutes"
	@echo "make bench-cluster  trainings by two workers with little memory, ARGS=\"--events 1000000 3000000\""
	@echo "make sdk      what the clients of sdk/ take from the description of the API"
	@echo "make docs     the documentation as a searchable site, in var/docs"
	@echo "make shell    a Django shell on the same database"
	@echo "make hooks    check every commit with pre-commit"
	@echo "make secrets  make the secret files that docker compose needs"
	@echo "make clean    remove .venv; the data in var stays"

run: environment
	@exec $(RUN) -m recommender_site --stop-with-parent

test: lint
	$(RUN) -m pytest -n $(N) --dist loadfile --no-loadscope-reorder  # tests/conftest.py has the order

axe: development
	AXE_EVERY_LOOK=1 REQUIRE_BROWSER=1 $(RUN) -m pytest tests/browser/test_pages.py

manual: development
	@mkdir -p docs/images/manual
	MANUAL=1 REQUIRE_BROWSER=1 $(RUN) -m pytest tests/browser/test_thirteen.py

lint: development
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy .
	$(RUN) .venv/bin/lint-imports

format: development
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# Babel rather than makemessages, which needs GNU gettext. Translate what is empty in django.po, and run it again.
BABEL = $(RUN) -m babel.messages.frontend
PACKAGES = recommender_site tasks shop recommendations catalog accounts webhooks jobs console web templates
messages: development
	@mkdir -p var
	$(BABEL) --quiet extract --mapping=babel.cfg --no-location --sort-output --keywords="gettext_lazy pgettext_lazy:1c,2 gettext_noop" \
		--output-file=var/django.pot $(PACKAGES)
	$(BABEL) --quiet update --domain=django --input-file=var/django.pot --output-dir=locale --no-fuzzy-matching \
		--ignore-obsolete --ignore-pot-creation-date --width=120
	$(BABEL) --quiet compile --domain=django --directory=locale

chaos: environment
	@$(RUN) -m benchmarks.chaos

soak: environment
	@$(RUN) -m benchmarks.soak

bench: environment
	@mkdir -p var
	@$(RUN) -m benchmarks --json var/bench.json

bench-cluster: development
	@nice -n 15 $(RUN) -m benchmarks.cluster $(ARGS)

# Without a server: the description is a function of the code.
sdk: development
	@mkdir -p var
	DJANGO_SETTINGS_MODULE=recommender_site.settings_offline $(RUN) -m django spectacular --format openapi-json --file var/schema.json
	$(RUN) sdk/generate.py var/schema.json

# Tools of its own: neither the site nor its tests need them.
docs: environment
	@$(PIP) -r requirements-deploy.txt
	$(RUN) -m mkdocs build --strict

shell: environment
	@exec $(RUN) manage.py shell

hooks: development
	$(RUN) -m pre_commit install

secrets: environment
	@umask 077 && mkdir -p secrets && for name in database_password secret_key; do \
		test -s secrets/$$name || $(RUN) -c 'import secrets; print(secrets.token_urlsafe(40))' > secrets/$$name; done
	@chmod 644 secrets/*  # read by other users inside the containers; the directory stays closed

clean:
	rm -rf .venv

# A copy of the pins inside .venv records what is installed, so that only a change of the pins installs again.
environment:
	@$(RUN) -c 'import pip' 2>/dev/null || { $(MAKE) --no-print-directory .venv; }
	@cmp -s requirements.txt .venv/requirements.txt || { \
		echo "Installing requirements; the first time this takes about a minute ..." && \
		$(PIP) -r requirements.txt && cp requirements.txt .venv/; }

development: environment
	@cmp -s requirements-dev.txt .venv/requirements-dev.txt || { \
		echo "Installing development requirements ..." && \
		$(PIP) -r requirements-dev.txt && cp requirements-dev.txt .venv/; }

.PHONY: .venv
.venv:
	@test -n "$(PYTHON)" || { echo "Forecourt needs Python 3.11 or newer; set PYTHON to one, as in: make run PYTHON=/opt/python3.13/bin/python3" >&2; exit 1; }
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
