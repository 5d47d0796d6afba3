"""What gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from recommender_site.security import read_as_utf8

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")

application = read_as_utf8(get_wsgi_application())
