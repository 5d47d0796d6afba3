import pytest

from accounts.exceptions import MergeRefused, UnknownScope
from accounts.models import ApiKey, Buyer
from accounts.services import (
    buyer_for_external_id,
    buyer_for_user,
    buyer_for_visitor,
    buyers_for_external_ids,
    create_api_key,
    merge_guest,
    revoke_api_key,
    set_personalised,
)
from accounts.signals import buyers_merged
from tests.factories import BuyerFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_a_user_gets_one_buyer_at_first_sight_and_keeps_it():
    user = UserFactory()
    assert buyer_for_user(user) == buyer_for_user(user)
    assert Buyer.objects.get().user == user


def test_external_ids_are_opaque_so_leading_zeros_count():
    assert buyer_for_external_id("7") != buyer_for_external_id("007")


def test_a_key_that_was_merged_is_a_new_guest_and_not_the_user():
    guest, user = buyer_for_visitor("visitor-key-of-alice"), buyer_for_user(UserFactory())
    merge_guest(guest=guest, into=user)
    assert buyer_for_visitor("visitor-key-of-alice") not in (user, guest)


def test_many_external_ids_are_found_or_made_together_and_follow_merges(django_assert_max_num_queries):
    user = BuyerFactory()
    BuyerFactory(external=True, external_id="merged", merged_into=user)
    known = buyer_for_external_id("known")
    with django_assert_max_num_queries(5):  # three and the savepoint around them
        got = buyers_for_external_ids(["known", "new", "merged", "new"])
    assert got == {"known": known, "merged": user, "new": Buyer.objects.get(external_id="new")}


def test_a_merge_notifies_its_listeners_once_however_often_it_is_repeated():
    guest, into = BuyerFactory(guest=True), BuyerFactory()
    heard = []
    listener = lambda guest, into, **kwargs: heard.append((guest, into))  # noqa: E731
    buyers_merged.connect(listener)
    try:
        merge_guest(guest=guest, into=into)
        merge_guest(guest=guest, into=into)
    finally:
        buyers_merged.disconnect(listener)
    assert heard == [(guest, into)]


def test_a_merge_is_undone_when_a_listener_fails():
    guest, into = BuyerFactory(guest=True), BuyerFactory()

    def listener(**kwargs):
        raise RuntimeError("the history could not be moved")

    buyers_merged.connect(listener)
    try:
        with pytest.raises(RuntimeError):
            merge_guest(guest=guest, into=into)
    finally:
        buyers_merged.disconnect(listener)
    guest.refresh_from_db()
    assert guest.merged_into is None


def test_a_merge_fills_gaps_and_overwrites_nothing():
    guest = BuyerFactory(guest=True, questionnaire={"fuels": ["diesel"]}, latitude=50.1, longitude=14.4)
    into = BuyerFactory(questionnaire={"fuels": ["petrol"]})
    into = merge_guest(guest=guest, into=into)
    assert (into.questionnaire, into.latitude, into.longitude) == ({"fuels": ["petrol"]}, 50.1, 14.4)


def test_an_opt_out_of_the_guest_holds_for_the_user_too():
    guest = BuyerFactory(guest=True, is_personalised=False)
    assert merge_guest(guest=guest, into=BuyerFactory()).is_personalised is False


def test_no_chain_of_merges_is_left_behind():
    first, second, user = BuyerFactory(guest=True), BuyerFactory(guest=True), BuyerFactory()
    merge_guest(guest=first, into=second)
    merge_guest(guest=second, into=user)
    first.refresh_from_db()
    assert first.merged_into == user


def test_only_a_guest_that_was_never_merged_can_be_merged():
    guest, alice, bob = BuyerFactory(guest=True), BuyerFactory(), BuyerFactory()
    merge_guest(guest=guest, into=alice)
    for buyer, into in [(guest, bob), (alice, bob), (BuyerFactory(external=True), bob), (bob, bob)]:
        with pytest.raises(MergeRefused):
            merge_guest(guest=buyer, into=into)
    with pytest.raises(MergeRefused):
        merge_guest(guest=BuyerFactory(guest=True), into=guest)


def test_opting_out_and_in_again():
    buyer = set_personalised(buyer=BuyerFactory(), is_personalised=False)
    assert Buyer.objects.get(pk=buyer.pk).is_personalised is False
    set_personalised(buyer=buyer, is_personalised=True)
    assert Buyer.objects.get(pk=buyer.pk).is_personalised is True


def test_the_secret_of_a_key_is_not_stored():
    key, secret = create_api_key(name="a client", scopes=["ingest", "read"], created_by=None)
    stored = ApiKey.objects.get(pk=key.pk)
    assert secret not in stored.__dict__.values()
    assert stored.hashed_key == ApiKey.digest(secret)
    assert stored.scopes == ["read", "ingest"]
    assert secret.startswith(stored.prefix)


@pytest.mark.parametrize("scopes", [[], ["everything"], ["read", "write"]])
def test_a_key_needs_scopes_that_exist(scopes):
    with pytest.raises(UnknownScope, match="read, ingest, buyers, admin"):
        create_api_key(name="a client", scopes=scopes, created_by=None)


def test_revoking_twice_keeps_the_first_time():
    key, _ = create_api_key(name="a client", scopes=["read"], created_by=None)
    first = revoke_api_key(key=key).revoked_at
    assert first is not None
    assert revoke_api_key(key=key).revoked_at == first
