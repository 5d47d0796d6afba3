"""Everything an operator can configure, read from the environment; see .env.example for one line on each.

Values of ours say their unit in the name. Relations between settings (vector size = column size,
soft limit < hard limit) are system checks in recommendations/checks.py.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from console.site import UNFOLD  # noqa: F401  (read by the admin's theme)
from recommender_site import env as read
from web.paths import API_PATHS

env = read.env
BASE_DIR = Path(__file__).resolve().parent.parent
ONE_YEAR = 365 * 86_400  # seconds
ROLES = ("Viewer", "Operator", "Administrator")  # as accounts.roles has them, which may not be imported yet
KNOWN_CRAWLERS = [
    "bot", "crawl", "spider", "slurp", "headless", "phantomjs", "scrapy", "facebookexternalhit", "mediapartners-google",
]  # fmt: skip
UNLESS_DEMO: bool | None = None  # whether a route needs a key, where the environment is silent: outside demo mode

try:
    # --- Who runs it -------------------------------------------------------------------------------------------------
    DEBUG = env.bool("DEBUG", False)
    DEMO_MODE = env.bool("DEMO_MODE", False)  # fake tokens, seeding and clean-up by API: never on a public site
    SECRET_KEY = env.str("SECRET_KEY", validate=read.at_least_characters(32))
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
    CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
    CORS_ALLOWED_ORIGINS = read.origins("CORS_ALLOWED_ORIGINS")  # pages of these may call the API from a browser
    BEHIND_HTTPS_PROXY = env.bool("BEHIND_HTTPS_PROXY", False)
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", BEHIND_HTTPS_PROXY)
    SECURE_HSTS_SECONDS = read.integer("SECURE_HSTS_SECONDS", ONE_YEAR if BEHIND_HTTPS_PROXY else 0, 0, 10 * ONE_YEAR)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", False)
    SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", False)
    SESSION_COOKIE_SECURE = env.bool("SESSION_COOKIE_SECURE", BEHIND_HTTPS_PROXY)
    CSRF_COOKIE_SECURE = env.bool("CSRF_COOKIE_SECURE", BEHIND_HTTPS_PROXY)
    LOG_LEVEL = env.str("LOG_LEVEL", "INFO", validate=read.one_of("DEBUG", "INFO", "WARNING", "ERROR"))

    # --- Servers -----------------------------------------------------------------------------------------------------
    DATABASE = read.database("DATABASE_URL", "DATABASE_PASSWORD")
    DATABASE_POOL_SIZE = read.integer("DATABASE_POOL_SIZE", 8, 0, 200)  # connections per web process; 0 for no pool
    DATABASE_BEHIND_PGBOUNCER = env.bool("DATABASE_BEHIND_PGBOUNCER", False)  # in transaction mode
    REPLICAS = read.databases("DATABASE_REPLICA_URLS", "DATABASE_PASSWORD")  # some reads go to them
    REPLICA_STALENESS_SECONDS = read.number("REPLICA_STALENESS_SECONDS", 5, 1, 600)  # an older one is left out
    REDIS_URL = env.str("REDIS_URL", validate=read.one_of_schemes(*read.REDIS_SCHEMES))
    CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", validate=read.one_of_schemes(*read.BROKER_SCHEMES))
    KEY_PREFIX = env.str("KEY_PREFIX", "forecourt", validate=read.a_prefix)  # of every key and queue

    # --- Processes ---------------------------------------------------------------------------------------------------
    HOST = env.str("HOST", "127.0.0.1")  # the address the web server listens on; 0.0.0.0 for every network
    PORT = read.integer("PORT", 8000, 1, 65535)
    WEB_PROCESSES = read.integer("WEB_PROCESSES", 2, 1, 256)
    WEB_THREADS = read.integer("WEB_THREADS", 4, 1, 256)  # per web process
    WORKER_PROCESSES = read.integer("WORKER_PROCESSES", 2, 1, 256)  # of the worker that keeps preferences up to date
    IMPORT_PROCESSES = read.integer("IMPORT_PROCESSES", 2, 1, 256)  # of the worker that reads files and feeds
    WORKER_MAX_MB = read.integer("WORKER_MAX_MB", 2000, 100, 1_000_000)  # a process above it is replaced after its task

    # --- The market --------------------------------------------------------------------------------------------------
    MARKET_CURRENCY = env.str("MARKET_CURRENCY", "GBP", validate=read.a_currency)  # prices are compared in it
    MARKET_DISTANCE = env.str("MARKET_DISTANCE", "", validate=read.one_of("", "miles", "km"))  # empty: by its currency
    MARKET_POWER = env.str("MARKET_POWER", "", validate=read.one_of("", "hp", "kW"))  # empty: by its currency
    EXCHANGE_RATES = read.exchange_rates("EXCHANGE_RATES")  # one unit of each currency, in the market's
    LISTING_SOURCE = env.str("LISTING_SOURCE", "api")  # of the listing ids of clients whose key names no source
    SEARCH_LEXICON_SECONDS = read.integer("SEARCH_LEXICON_SECONDS", 60, 0, 86_400)  # how old a process's words may be
    LISTING_LIFETIME_DAYS = read.integer("LISTING_LIFETIME_DAYS", 90, 1, 3650)  # then a listing expires by itself
    IMPORT_MAX_MB = read.integer("IMPORT_MAX_MB", 200, 1, 100_000)  # of a file uploaded in the admin, as it is sent
    IMPORT_FILES_DAYS = read.integer("IMPORT_FILES_DAYS", 7, 1, 3650)  # then uploaded files are removed
    IMPORT_FOLDER = env.str("IMPORT_FOLDER", "")  # feeds may read files below it; empty: none
    IMPORT_PRIVATE_ADDRESSES = env.bool(
        "IMPORT_PRIVATE_ADDRESSES", False
    )  # feeds may fetch from our own network, by http
    IMPORT_UNDO_DAYS = read.integer("IMPORT_UNDO_DAYS", 7, 1, 3650)  # for so long an import can be undone

    # --- Webhooks ----------------------------------------------------------------------------------------------------
    WEBHOOK_ATTEMPTS = read.integer("WEBHOOK_ATTEMPTS", 10, 1, 20)  # of one delivery; then it is a dead letter
    WEBHOOK_TIMEOUT_SECONDS = read.integer("WEBHOOK_TIMEOUT_SECONDS", 10, 1, 30)  # of one exchange, all of it
    WEBHOOK_DAYS_KEPT = read.integer("WEBHOOK_DAYS_KEPT", 14, 1, 365)  # then messages are removed, dead letters too
    WEBHOOK_PRIVATE_ADDRESSES = env.bool("WEBHOOK_PRIVATE_ADDRESSES", False)  # endpoints in our own network, by http

    # --- Alerts ------------------------------------------------------------------------------------------------------
    PUBLIC_URL = read.optional_url("PUBLIC_URL")  # of this site, for links in e-mail; without it alerts send none
    ALERTS_PER_DAY = read.integer("ALERTS_PER_DAY", 5, 1, 100)  # messages to one buyer within 24 hours, at most
    ALERT_GAP_MINUTES = read.integer("ALERT_GAP_MINUTES", 15, 0, 1440)  # between two; cars of meanwhile go together
    ALERT_CARS = read.integer("ALERT_CARS", 10, 1, 100)  # of one message, the best for the buyer
    ALERT_TIME_ZONE = env.str("ALERT_TIME_ZONE", "UTC", validate=read.a_time_zone)  # of buyers who name none
    ALERT_QUIET_HOURS = read.hours("ALERT_QUIET_HOURS")  # from, until; both the same for none
    ALERT_DAILY_HOUR = read.integer("ALERT_DAILY_HOUR", 8, 0, 23)  # of daily messages, in the buyer's time zone

    # --- The recommender ---------------------------------------------------------------------------------------------
    CONTENT_DIMENSIONS = read.integer("CONTENT_DIMENSIONS", 96, 8, 2000)
    COLLABORATIVE_DIMENSIONS = read.integer("COLLABORATIVE_DIMENSIONS", 32, 0, 2000)
    RANKER_VERSIONS_KEPT = read.integer("RANKER_VERSIONS_KEPT", 3, 1, 20)
    TRAINING_CLUSTER = env.str("TRAINING_CLUSTER", "", validate=read.a_cluster)  # local, a scheduler, or one process
    TRAINING_CLUSTER_WORKERS = read.integer("TRAINING_CLUSTER_WORKERS", 2, 1, 256)  # of a local cluster
    TRAINING_WORKER_MEMORY_MB = read.integer("TRAINING_WORKER_MEMORY_MB", 0, 0, 10_000_000)  # of each; 0: no limit
    TRAINING_EVENTS_PER_PARTITION = read.integer("TRAINING_EVENTS_PER_PARTITION", 250_000, 1, 100_000_000)
    WINDOW_MAX_LISTINGS = read.integer("WINDOW_MAX_LISTINGS", 1_000_000, 0, 50_000_000)  # beyond: pgvector answers
    WINDOW_STALENESS_SECONDS = read.number("WINDOW_STALENESS_SECONDS", 0.25, 0, 60)  # how far behind the window may be
    LISTING_INDEX_THREAD = env.bool("LISTING_INDEX_THREAD", True)  # off: requests load it
    LISTING_INDEX_DIR = env.str("LISTING_INDEX_DIR", "var/index")  # processes share that memory by files; empty: not
    WINDOW_LOOKBACK_DAYS = read.integer("WINDOW_LOOKBACK_DAYS", 60, 0, 3650)  # ended listings kept for choice sets
    EXACT_SCAN_MAX_ROWS = read.integer("EXACT_SCAN_MAX_ROWS", 20_000, 0, 10_000_000)  # beyond: HNSW
    CHOICE_SET_SAMPLE = read.integer("CHOICE_SET_SAMPLE", 20, 5, 1000)  # beside a choice from no list, or a search
    EVENTS_PER_BUYER = read.integer("EVENTS_PER_BUYER", 300, 10, 10_000)  # the newest ones make the preference
    EVENTS_PER_REQUEST = read.integer("EVENTS_PER_REQUEST", 1000, 1, 10_000)
    EVENTS_WAITING_AT_MOST = read.integer("EVENTS_WAITING_AT_MOST", 100_000, 0, 10_000_000)  # for their listing; a key
    BOT_CARS_PER_MINUTE = read.integer("BOT_CARS_PER_MINUTE", 40, 0, 10_000)  # beyond: a bot; 0: not looked at
    BOT_GUESTS_PER_HOUR = read.integer("BOT_GUESTS_PER_HOUR", 100, 0, 1_000_000)  # of one request each, of one origin
    BOT_USER_AGENTS: list[str] = env.list("BOT_USER_AGENTS", KNOWN_CRAWLERS)  # a program declares itself by such a word
    EVENTS_WAITING_DAYS = read.integer("EVENTS_WAITING_DAYS", 7, 1, 365)  # then such an event is removed
    RECOMMENDATIONS_MAX_K = read.integer("RECOMMENDATIONS_MAX_K", 200, 1, 1000)
    LIST_CACHE_SECONDS = read.integer("LIST_CACHE_SECONDS", 60, 0, 3600)  # while nothing happens; 0: not at all
    INFERENCES_PER_REQUEST = read.integer("INFERENCES_PER_REQUEST", 10_000, 1, 100_000)  # vectors in one /batch
    INFERENCE_NEEDS_KEY = env.bool("INFERENCE_NEEDS_KEY", UNLESS_DEMO)  # /infer and /batch: the scope "read"
    SERVED_LIST_THREAD = env.bool("SERVED_LIST_THREAD", True)  # off: a list is recorded before it is answered
    PREFERENCE_MAX_AGE_HOURS = read.integer("PREFERENCE_MAX_AGE_HOURS", 24, 1, 8760)  # then decay is applied afresh

    # --- Star ratings ------------------------------------------------------------------------------------------------
    RATINGS_DIR = BASE_DIR / env.str("RATINGS_DIR", "var/ratings")  # trained models; shared by all who train or serve
    RATINGS_MODELS_KEPT = read.integer("RATINGS_MODELS_KEPT", 3, 1, 100)
    RATINGS_NEED_KEY = env.bool("RATINGS_NEED_KEY", UNLESS_DEMO)  # /api/reload: the scope "admin"; the others: "read"

    # --- The feed: likes and recommendations of bare items -----------------------------------------------------------
    FEED_LENGTH = read.integer("FEED_LENGTH", 10, 1, 200)  # items of a list
    FEED_UNSEEN_SHARE = read.number("FEED_UNSEEN_SHARE", 0.1, 0, 1)  # of a list: the least shown items
    FEED_NEW_USER_UNSEEN_SHARE = read.number("FEED_NEW_USER_UNSEEN_SHARE", 0.1, 0, 1)  # of the list of a new user
    FEED_RANDOM_SHARE = read.number("FEED_RANDOM_SHARE", 0, 0, 1)  # of a list: drawn blindly
    FEED_ENOUGH_SHOWN = read.integer("FEED_ENOUGH_SHOWN", 5, 0, 1_000_000)  # then an item needs no such place
    FEED_TOP_N = read.integer("FEED_TOP_N", 60, 1, 10_000)  # the best so many are looked at for variety
    FEED_DIVERSITY = read.number("FEED_DIVERSITY", 0.3, 0, 100)  # logits lost where the list has all genres already
    FEED_EXPLORATION = read.number("FEED_EXPLORATION", 0.15, 0, 10)  # 0: what is known; 1: what may be (Thompson)
    FEED_REFRESH_SECONDS = read.integer("FEED_REFRESH_SECONDS", 5, 1, 86_400)  # between learning from the whole log
    FEED_MODEL_ITEMS = read.integer("FEED_MODEL_ITEMS", 4000, 1, 50_000)  # the most liked, compared with each other
    FEED_ACTIONS_PER_REQUEST = read.integer("FEED_ACTIONS_PER_REQUEST", 10_000, 1, 100_000)
    FEED_ITEMS_PER_REQUEST = read.integer("FEED_ITEMS_PER_REQUEST", 100_000, 1, 1_000_000)
    FEED_NEEDS_KEY = env.bool("FEED_NEEDS_KEY", UNLESS_DEMO)  # /recs: the scope "read"; the others: "ingest"

    # --- Tokens and throttles ----------------------------------------------------------------------------------------
    ACCESS_TOKEN_MINUTES = read.integer("ACCESS_TOKEN_MINUTES", 60, 1, 1440)
    REFRESH_TOKEN_DAYS = read.integer("REFRESH_TOKEN_DAYS", 14, 1, 365)
    THROTTLE_USER = env.str("THROTTLE_USER", "60000/min" if DEMO_MODE else "6000/min", validate=read.a_rate)
    THROTTLE_API_KEY = env.str("THROTTLE_API_KEY", "60000/min", validate=read.a_rate)
    THROTTLE_GUEST = env.str("THROTTLE_GUEST", "600/min", validate=read.a_rate)  # by address
    THROTTLE_OPEN = env.str("THROTTLE_OPEN", "600000/min", validate=read.a_rate)  # open /infer and feed, by address
    THROTTLE_RATINGS = env.str("THROTTLE_RATINGS", "6000/min", validate=read.a_rate)  # star ratings, by address
    THROTTLE_LOGIN = env.str("THROTTLE_LOGIN", "10/min", validate=read.a_rate)  # on one account, from one address
    LOGIN_FAILURES_PER_ACCOUNT = read.integer(
        "LOGIN_FAILURES_PER_ACCOUNT", 10, 1, 1000
    )  # then it is closed for a while
    LOGIN_FAILURES_PER_ADDRESS = read.integer("LOGIN_FAILURES_PER_ADDRESS", 100, 1, 100_000)  # on whatever accounts
    LOGIN_CLOSED_MINUTES = read.integer("LOGIN_CLOSED_MINUTES", 15, 1, 10_080)  # and within so long they are counted
    TWO_FACTOR = env.str("TWO_FACTOR", "off", validate=read.one_of("off", "optional", "required"))  # of staff
    OIDC_ISSUER = read.optional_url("OIDC_ISSUER")  # of the provider of single sign-on; empty for none
    OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", "")
    OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", "")
    OIDC_NAME = env.str("OIDC_NAME", "Single sign-on")  # on the button
    OIDC_TRUSTS_EMAIL = env.bool("OIDC_TRUSTS_EMAIL", False)  # addresses count as verified though it does not say so
    OIDC_NEW_STAFF_ROLE = env.str("OIDC_NEW_STAFF_ROLE", "", validate=read.one_of("", *ROLES))  # empty: none is made
    MAX_BODY_MB = read.integer("MAX_BODY_MB", 10, 1, 1000)

    # --- E-mail ------------------------------------------------------------------------------------------------------
    EMAIL = read.email("EMAIL_URL")
    EMAIL_FROM = env.str("EMAIL_FROM", "Forecourt <forecourt@localhost>")

    # --- Metrics -----------------------------------------------------------------------------------------------------
    METRICS_TOKEN = env.str("METRICS_TOKEN", "")  # opens /metrics to its bearer; without it, only demo mode does
    WEB_METRICS_PORT = read.integer("WEB_METRICS_PORT", 0, 0, 65535)  # for the internal network; 0: none
    WORKER_METRICS_PORT = read.integer("WORKER_METRICS_PORT", 0, 0, 65535)  # 0: the worker serves no metrics
    PROBE_THE_LOOP = env.bool("PROBE_THE_LOOP", True)  # each minute an event of ours is followed to its effect
    # --- The log -----------------------------------------------------------------------------------------------------
    LOG_FORMAT = env.str("LOG_FORMAT", "plain", validate=read.one_of("plain", "json"))
    LOG_REQUESTS = env.bool("LOG_REQUESTS", LOG_FORMAT == "json")  # a line for each request that was answered
    LOG_FILE = env.str("LOG_FILE", "var/log/forecourt.log")  # beside the console; empty for none
    OTEL_EXPORTER_OTLP_ENDPOINT = read.optional_url("OTEL_EXPORTER_OTLP_ENDPOINT")  # traces go there; empty: none
    SENTRY_DSN = read.optional_url("SENTRY_DSN")  # errors are reported there; empty: none
    LOG_FILE_MAX_MB = read.number("LOG_FILE_MAX_MB", 10, 0.1, 10_000)  # then it is rotated
    LOG_FILES_KEPT = read.integer("LOG_FILES_KEPT", 5, 1, 100)  # rotated ones

    # --- Upgrading -------------------------------------------------------------------------------------------------
    MIGRATION_LOCK_SECONDS = read.integer("MIGRATION_LOCK_SECONDS", 3, 0, 3600)  # then it is tried again; 0: no limit
    MIGRATION_STATEMENT_SECONDS = read.integer("MIGRATION_STATEMENT_SECONDS", 900, 0, 86_400)  # of each; 0: no limit

    # --- Keeping it --------------------------------------------------------------------------------------------------
    BACKUP_PASSPHRASE = env.str("BACKUP_PASSPHRASE", "", validate=read.empty_or_long(12))  # of `manage.py backup`
    # For how many days rows are kept, at least; 0: for ever.
    KEEP_EVENTS_DAYS = read.days_kept("KEEP_EVENTS_DAYS", 0, 90)  # since their arrival
    KEEP_IMPRESSIONS_DAYS = read.days_kept("KEEP_IMPRESSIONS_DAYS", 0, 60)  # since their arrival
    KEEP_LISTS_DAYS = read.days_kept("KEEP_LISTS_DAYS", 0, 60)  # that no event came from; the others go with it
    KEEP_ANONYMOUS_BUYERS_DAYS = read.days_kept("KEEP_ANONYMOUS_BUYERS_DAYS", 0, 30)  # since they did anything
    KEEP_ENDED_LISTINGS_DAYS = read.days_kept("KEEP_ENDED_LISTINGS_DAYS", 0, 90)  # that no event and no list names
    KEEP_PRICE_CHANGES_DAYS = read.days_kept("KEEP_PRICE_CHANGES_DAYS", 0, 60)
    KEEP_AUDIT_DAYS = read.days_kept("KEEP_AUDIT_DAYS", 0, 90)
    KEEP_JOBS_DAYS = read.days_kept("KEEP_JOBS_DAYS", 365, 30)  # finished ones, but for the newest of each origin
except ValueError as error:  # what the readers raise, for a *_FILE that cannot be read too
    raise ImproperlyConfigured(str(error)) from None

# --- Django ----------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django_prometheus",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "accounts.login.apps.ConsoleConfig",  # django.contrib.admin, with a site of our own
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "rest_framework",
    "rest_framework_simplejwt",  # for its translations
    "rest_framework_simplejwt.token_blacklist",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_celery_results",
    "console",
    "jobs",
    "webhooks",
    "accounts",
    "catalog",
    "recommendations",
    "shop",
    "tasks",
    "recommender_site",
]

MIDDLEWARE = [
    "web.tracing.RequestIdMiddleware",
    "recommender_site.http.security.ContentSecurityPolicyMiddleware",
    "recommender_site.http.probes.ProbesMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "recommender_site.http.allowance.AllowanceMiddleware",
    "recommender_site.http.bandwidth.CompressedAnswersMiddleware",
    "recommender_site.http.security.PrivateAnswersMiddleware",
    "recommender_site.http.bandwidth.RevalidatedAnswersMiddleware",
    "recommender_site.http.language.LanguageMiddleware",  # before all that may refuse in words
    "recommender_site.http.own_writes.OwnWritesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "recommender_site.http.counting.BoundedPrometheusMiddleware",
]
if OTEL_EXPORTER_OTLP_ENDPOINT:
    MIDDLEWARE.insert(0, "recommender_site.watching.spans.RouteMiddleware")

# --- Pages of other origins ------------------------------------------------------------------------------------------
# Only the API: the admin and whatever else goes by cookies is never opened. Callers name themselves by header, so
# cookies are not allowed along either (CORS_ALLOW_CREDENTIALS is off).
CORS_URLS_REGEX = API_PATHS
CORS_ALLOW_ALL_ORIGINS = "*" in CORS_ALLOWED_ORIGINS
CORS_ALLOWED_ORIGINS = [origin for origin in CORS_ALLOWED_ORIGINS if origin != "*"]
CORS_ALLOW_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
CORS_ALLOW_HEADERS = ["Accept", "Authorization", "Content-Type", "X-Api-Key", "X-Visitor-Key", "X-Request-ID",
                      "If-None-Match"]  # fmt: skip
CORS_EXPOSE_HEADERS = ["Retry-After", "RateLimit", "RateLimit-Policy", "Content-Disposition", "X-Request-ID", "ETag"]
CORS_PREFLIGHT_MAX_AGE = 600  # seconds for which a browser remembers the answer

ROOT_URLCONF = "recommender_site.urls"
WSGI_APPLICATION = "recommender_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.login.context.frame",
            ]
        },
    }
]

# The session settings of pgvector ride on every connection: without the iterative scan a filtered HNSW query
# silently returns fewer rows than asked. PgBouncer refuses them there, and the queries set them (web.postgres.pooling).
SESSION_SETTINGS = {"hnsw.iterative_scan": "relaxed_order", "hnsw.ef_search": "800"}
_options = (
    {} if DATABASE_BEHIND_PGBOUNCER else {"options": " ".join(f"-c {k}={v}" for k, v in SESSION_SETTINGS.items())}
)


def _server(config: dict[str, Any], patience_seconds: float, **options: Any) -> dict[str, Any]:
    """A database as Django connects to it."""
    pool = {"pool": {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": patience_seconds}}
    return {
        **config,
        "ENGINE": "web.postgres",
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,  # a restarted database costs one reconnect, not one failed request per connection
        "DISABLE_SERVER_SIDE_CURSORS": DATABASE_BEHIND_PGBOUNCER,
        "OPTIONS": {**config.get("OPTIONS", {}), **_options, **options, **(pool if DATABASE_POOL_SIZE else {})},
    }


DATABASES = {
    "default": _server(DATABASE, 10),
    # What waits for a replica could have asked the primary.
    **{f"replica{n}": _server(each, 1, connect_timeout=2) for n, each in enumerate(REPLICAS, start=1)},
}
DATABASE_ROUTERS = ["web.replicas.ReplicaRouter"]
# Apps and models that may be read from a replica, where a function says so. Who may do what is not among them.
REPLICA_MODELS = frozenset(
    ["catalog", "recommendations", "webhooks", "django_celery_results", "accounts.buyer", "accounts.auditentry"]
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "web.cache.ForgivingRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": KEY_PREFIX,
        "OPTIONS": {"socket_connect_timeout": 0.25, "socket_timeout": 0.5},  # seconds; then it is done without
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.login.backends.PasswordBackend"]  # which counts failures, for every door
AUDIT_LOG_MODEL = "accounts.AuditEntry"  # what the console writes every change into
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")

# --- Second factors and single sign-on: django-allauth ---------------------------------------------------------------
ACCOUNT_ADAPTER = "accounts.login.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]  # checked, though there is no sign-up
ACCOUNT_EMAIL_VERIFICATION = "none"  # administrators add people
ACCOUNT_RATE_LIMITS = False  # these would live in the cache; ours are in accounts.login.attempts
SOCIALACCOUNT_ADAPTER = "accounts.login.sign_on.SignOnAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
MFA_ADAPTER = "accounts.login.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Forecourt"
MFA_TOTP_TOLERANCE = 1  # a code that ran out while it was typed, or a clock half a minute off (RFC 6238, 5.2)
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEBUG
MFA_FORMS = {
    "authenticate": "accounts.login.forms.CodeForm",
    "reauthenticate": "accounts.login.forms.CodeOnceMoreForm",
    "activate_totp": "accounts.login.forms.FirstCodeForm",
    "authenticate_webauthn": "accounts.login.forms.KeyForm",
    "reauthenticate_webauthn": "accounts.login.forms.KeyOnceMoreForm",
    "add_webauthn": "accounts.login.forms.NewKeyForm",
}

SENDS_EMAIL = bool(EMAIL)
DEFAULT_FROM_EMAIL = SERVER_EMAIL = EMAIL_FROM
EMAIL_BACKEND = EMAIL.get("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")
EMAIL_HOST, EMAIL_PORT = EMAIL.get("EMAIL_HOST", ""), EMAIL.get("EMAIL_PORT", 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = EMAIL.get("EMAIL_HOST_USER", ""), EMAIL.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS, EMAIL_USE_SSL = EMAIL.get("EMAIL_USE_TLS", False), EMAIL.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = EMAIL.get("EMAIL_FILE_PATH") or None
EMAIL_TIMEOUT = 10  # seconds

LANGUAGE_CODE = "en-gb"  # of the admin, and of answers to callers that ask for no other language of these
LANGUAGES = [("en-gb", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "recommender_site.formats"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STATICFILES_DIRS = [("sdk", BASE_DIR / "sdk" / "javascript" / "dist")]  # scripts for pages of other sites
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_MB * 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "web.uploads.SizeLimit",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
if BEHIND_HTTPS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

SECRETS = read.secrets_among(  # removed from the log however they are written
    SECRET_KEY,
    METRICS_TOKEN,
    *(each.get("PASSWORD", "") for each in (DATABASE, *REPLICAS)),
    REDIS_URL,
    CELERY_BROKER_URL,
    BACKUP_PASSPHRASE,
)
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "web.logs.RedactingFormatter",
            "fmt": "%(asctime)s %(levelname)-7s %(name)s: %(message)s%(context)s",
            "secrets": SECRETS,
        },
        "json": {"()": "web.logs.JSONFormatter", "secrets": SECRETS},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {"gunicorn.error": {"handlers": [], "propagate": True}},  # what a web process says of itself, likewise
}
if LOG_FILE:
    LOGGING["handlers"]["file"] = {
        "class": "web.logs.SharedRotatingFileHandler",
        "filename": BASE_DIR / LOG_FILE,
        "max_megabytes": LOG_FILE_MAX_MB,
        "n_kept": LOG_FILES_KEPT,
        "formatter": LOG_FORMAT,
    }
    LOGGING["root"]["handlers"].append("file")

# --- API -------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.TokenAuthentication",
        "accounts.api.authentication.ApiKeyAuthentication",
        "accounts.api.authentication.VisitorKeyAuthentication",
        "accounts.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["web.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": [
        "accounts.api.throttles.UserThrottle",
        "accounts.api.throttles.ApiKeyThrottle",
        "accounts.api.throttles.GuestThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "user": THROTTLE_USER,
        "api_key": THROTTLE_API_KEY,
        "guest": THROTTLE_GUEST,
        "open": THROTTLE_OPEN,
        "ratings": THROTTLE_RATINGS,
    },
    "NUM_PROXIES": int(BEHIND_HTTPS_PROXY),  # without a proxy a caller could name any address as its own
    "EXCEPTION_HANDLER": "web.errors.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=ACCESS_TOKEN_MINUTES),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=REFRESH_TOKEN_DAYS),
    "CHECK_REVOKE_TOKEN": True,  # a token carries a digest of the password, and is over when it changes
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Forecourt",
    "DESCRIPTION": "Recommendations for marketplaces of used cars: listings in, events in, a better list out. Below "
    "/api/v1 a parameter or field that a route does not know is refused by name, with the nearest known one. "
    "Reasons and error messages are in English or German, as `Accept-Language` asks.",
    "VERSION": "1.0.0",
    "LICENSE": {"name": "MIT", "url": "https://opensource.org/license/mit"},
    "SERVERS": [{"url": "/", "description": "This site."}],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "Body": "catalog.models.Listing.Body",
        "Drive": "catalog.models.Listing.Drive",
        "Condition": "catalog.models.Listing.Condition",
        "Damage": "catalog.models.Listing.Damage",
        "Fuel": "catalog.models.Listing.Fuel",
        "Gearbox": "catalog.models.Listing.Gearbox",
        "ListingStatus": "catalog.models.Listing.Status",
        "ListingStatusToSet": "catalog.api.serializers.STATUSES_TO_SET",
    },
    "PREPROCESSING_HOOKS": ["recommender_site.http.openapi.strip_final_slash"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "recommender_site.http.openapi.say_where_words_are_read",
        "recommender_site.http.openapi.say_which_bodies_are_needed",
        "recommender_site.http.openapi.describe_errors",
        "recommender_site.http.openapi.call_no_class_as_its_field",
        "recommender_site.http.openapi.drop_empty_defaults",
        "recommender_site.http.openapi.say_defaults_of_bodies_in_words",
        "recommender_site.http.openapi.say_types_of_nullable_values",
        "recommender_site.http.openapi.say_who_may",
    ],
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": True, "tryItOutEnabled": True},
}

# --- Background work -------------------------------------------------------------------------------------------------
# Autodiscovery looks for <app>/tasks.py only, so the modules are listed.
CELERY_IMPORTS = ["tasks.catalog", "tasks.recommendations", "tasks.webhooks", "tasks.maintenance"]
# By who waits: the loop (default, refresh), an operator or a feed (imports), and long work that no one waits for.
QUEUES = [f"{KEY_PREFIX}.{name}" for name in ("default", "refresh", "imports", "long")]
DEFAULT_QUEUE, REFRESH_QUEUE, IMPORT_QUEUE, LONG_QUEUE = QUEUES
CELERY_TASK_DEFAULT_QUEUE = DEFAULT_QUEUE
CELERY_TASK_ROUTES = {
    "recommendations.refresh_*": {"queue": REFRESH_QUEUE},  # the loop never waits behind a training
    "recommendations.retrain": {"queue": LONG_QUEUE},
    "recommendations.scheduled_retrain": {"queue": LONG_QUEUE},
    "recommendations.evaluate": {"queue": LONG_QUEUE},
    "recommendations.draw_map": {"queue": LONG_QUEUE},
    "recommendations.try_weights": {"queue": LONG_QUEUE},
    "recommendations.judge_feed": {"queue": LONG_QUEUE},
    "recommendations.resume_seedings": {"queue": LONG_QUEUE},
    "catalog.seed_*": {"queue": LONG_QUEUE},
    "catalog.import_*": {"queue": IMPORT_QUEUE},  # ten rows never wait behind a training
    "catalog.*feed*": {"queue": IMPORT_QUEUE},
    "catalog.export*": {"queue": IMPORT_QUEUE},
    "catalog.*quality": {"queue": IMPORT_QUEUE},  # an operator waits for it
    "maintenance.check_data": {"queue": LONG_QUEUE},
    "maintenance.remove_old_rows": {"queue": LONG_QUEUE},
    "maintenance.make_months": {"queue": LONG_QUEUE},
}
CELERY_RESULT_BACKEND = "jobs.results:ResultBackend"
CELERY_RESULT_EXTENDED = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = True  # a failure of a frequent task is a row, its successes are none
CELERY_TASK_SOFT_TIME_LIMIT, CELERY_TASK_TIME_LIMIT = 300, 330  # seconds, of a task that states none of its own
CELERY_BEAT_SCHEDULER = "jobs.leader.LeaderScheduler"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TRACK_STARTED = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
if CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 7200,  # seconds; longer than the longest task, or that task would run twice
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,  # kombu's default sweeps for lost messages every 100 s only
        "socket_connect_timeout": 1,
        "socket_timeout": 10,
        "global_keyprefix": f"{KEY_PREFIX}:",
    }
