"""A security key made of numbers: answers WebAuthn as a device would, with a P-256 key pair and no attestation."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256
from fido2.webauthn import AttestedCredentialData, AuthenticatorData

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40  # flags: a person touched it, typed its PIN, and it hands over a key


def websafe(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


class SecurityKey:
    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.id = secrets.token_bytes(32)
        self._private = ec.generate_private_key(ec.SECP256R1())
        self._count = 0

    def create(self, options: dict[str, Any]) -> str:
        """What the browser posts after ``navigator.credentials.create``."""
        public = ES256.from_cryptography_key(self._private.public_key())
        credential = AttestedCredentialData.create(b"\0" * 16, self.id, public)
        data = AuthenticatorData.create(self._hash(options["rp"]["id"]), PRESENT | VERIFIED | ATTESTED, 0, credential)
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": bytes(data)})
        client = self._client_data("webauthn.create", options["challenge"])
        return self._posted({"clientDataJSON": websafe(client), "attestationObject": websafe(attestation)})

    def get(self, options: dict[str, Any]) -> str:
        """What it posts after ``navigator.credentials.get``."""
        self._count += 1
        data = bytes(AuthenticatorData.create(self._hash(options["rpId"]), PRESENT | VERIFIED, self._count))
        client = self._client_data("webauthn.get", options["challenge"])
        signature = self._private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._posted(
            {
                "clientDataJSON": websafe(client),
                "authenticatorData": websafe(data),
                "signature": websafe(signature),
                "userHandle": None,
            }
        )

    def _client_data(self, kind: str, challenge: str | bytes) -> bytes:
        challenge = challenge if isinstance(challenge, str) else websafe(challenge)
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _posted(self, response: dict[str, Any]) -> str:
        return json.dumps(
            {"type": "public-key", "id": websafe(self.id), "rawId": websafe(self.id), "response": response,
             "clientExtensionResults": {}}
        )  # fmt: skip

    @staticmethod
    def _hash(relying_party: str) -> bytes:
        return hashlib.sha256(relying_party.encode()).digest()
