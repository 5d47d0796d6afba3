"""What gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")

django_application = get_wsgi_application()

# models can be imported only now
from recommender_site.http.fast_lane import with_fast_lane  # noqa: E402
from recommender_site.http.security import read_as_utf8  # noqa: E402
from recommender_site.http.whole_bodies import with_whole_bodies  # noqa: E402
from recommender_site.watching.begin import with_watching  # noqa: E402

application = with_watching(with_whole_bodies(with_fast_lane(read_as_utf8(django_application))))
