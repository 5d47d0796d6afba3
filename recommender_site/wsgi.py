"""What gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from recommender_site.security import read_as_utf8

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")

django_application = get_wsgi_application()

from recommender_site.fast_lane import with_fast_lane  # noqa: E402  (models can be imported only now)

application = with_fast_lane(read_as_utf8(django_application))
