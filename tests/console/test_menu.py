"""Which line of the menu is marked on which page."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from console.site import NAVIGATION, address_of

LINES = [line for group in NAVIGATION for line in group["items"]]


def marked(address: str) -> list[str]:
    request = RequestFactory().get(address)
    request.user = AnonymousUser()
    groups = admin.site.get_sidebar_list(request)
    return [line["title"] for group in groups for line in group["items"] if line["active"]]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["title"])
def test_each_line_is_marked_on_its_own_page_and_no_other_is(line):
    assert marked(address_of(line, RequestFactory().get("/"))) == [line["title"]]


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("/admin/webhooks/delivery/?status__exact=dead&q=7", "Dead letters"),
        ("/admin/webhooks/delivery/?status__exact=delivered", "Deliveries"),
        ("/admin/accounts/buyer/17/lab/", "Buyers"),
        ("/admin/django_celery_results/taskresult/3/change/", "Job results"),
        ("/admin/recommendations/experiment/3/report/", "Experiments"),
    ],
)
def test_a_page_below_another_is_part_of_its_line(address, line):
    assert marked(address) == [line]


def test_a_page_that_no_line_leads_to_marks_none():
    assert marked("/admin/accounts/erasedid/") == []
