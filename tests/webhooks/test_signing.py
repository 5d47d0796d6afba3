"""Signatures: those of the specification, by its own example, and what cannot be a secret."""

import pytest

from webhooks.signing import SecretRefused, key_of, new_secret, signature, signed_headers


def test_the_signature_is_that_of_the_example_of_standard_webhooks():
    assert (
        signature(
            secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp=1614265330,
            body='{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_every_secret_in_use_signs():
    old, new = new_secret(), new_secret()
    header = signed_headers(secrets_in_use=[new, old], message_id="msg_1", timestamp=7, body="{}")
    signatures = header["webhook-signature"].split()
    assert signatures == [signature(secret=each, message_id="msg_1", timestamp=7, body="{}") for each in (new, old)]
    assert (header["webhook-id"], header["webhook-timestamp"]) == ("msg_1", "7")


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_c2hvcnQ=", "secret", "whsec_not base64!", "whsec_" + "QUJD" * 40]
)
def test_what_cannot_be_a_secret_is_refused(secret):
    with pytest.raises(SecretRefused):
        key_of(secret)
