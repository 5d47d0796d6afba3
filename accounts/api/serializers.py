"""The shapes of tokens and of oneself."""

from typing import Any

from rest_framework import serializers

from accounts.models import Buyer, User
from web.strict import KnownFieldsSerializer


class CredentialsSerializer(KnownFieldsSerializer):
    """The login of an account."""

    email = serializers.CharField(max_length=254, help_text="Upper and lower case are the same.")
    password = serializers.CharField(max_length=256, trim_whitespace=False, style={"input_type": "password"})
    code = serializers.CharField(
        max_length=64, required=False, help_text="Of the second factor, where the account has one; or a recovery code."
    )


class TokenPairSerializer(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="Send it as `Authorization: Bearer …`.")
    refresh = serializers.CharField(help_text="Good for one new pair, at `/api/v1/token/refresh`.")


class RefreshTokenSerializer(KnownFieldsSerializer):
    """The refresh token of a login."""

    refresh = serializers.CharField(max_length=4096, help_text="The newest refresh token you were given.")


class EmailSerializer(KnownFieldsSerializer):
    """The email address of a demo user."""

    email = serializers.CharField(max_length=254, help_text="Of a user who exists, such as john0@example.com.")


class FakeTokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="An access token, to send as `Authorization: Bearer …`.")


class MeSerializer(serializers.ModelSerializer[Any]):
    surname = serializers.CharField(source="last_name")

    class Meta:
        model = User
        fields = ["email", "first_name", "surname"]
        read_only_fields = fields


class TrueOrFalseField(serializers.BooleanField):
    """Nothing but true or false: what decides over privacy is not guessed from "yes", 1 or "off"."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class PrivacySerializer(KnownFieldsSerializer, serializers.ModelSerializer[Buyer]):
    """Whether a buyer's lists may be personal."""

    is_personalised = TrueOrFalseField(help_text="False: the lists of a new visitor, whatever is known about you.")

    class Meta:
        model = Buyer
        fields = ["is_personalised"]
