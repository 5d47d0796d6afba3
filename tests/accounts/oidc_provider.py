"""A small provider of OpenID Connect on a port of its own: what a browser and the site ask of it, and no more.

It checks what a real one checks: the client and its secret, the address to return to, the PKCE verifier, and that a
code is used once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

CLIENT_ID, CLIENT_SECRET = "forecourt", "a-secret-between-us-of-enough-length"


class Provider:
    def __init__(self) -> None:
        self.person: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.access_tokens: set[str] = set()
        self.is_down = False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/realms/cars"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def authorize(self, address: str) -> str:
        """What the provider does once the person has logged in there: send the browser back with a code."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert set(asked["scope"].split()) >= {"openid", "email"}
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def _token(self, given: dict[str, str]) -> dict[str, Any] | None:
        asked = self.codes.pop(given.get("code", ""), None)
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or given.get("client_secret") != CLIENT_SECRET
            or given.get("redirect_uri") != asked["redirect_uri"]
            or base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]
        ):
            return None
        access_token = secrets.token_urlsafe()
        self.access_tokens.add(access_token)
        now = int(time.time())
        claims = {**self.person, "iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300}
        id_token = jwt.encode(claims, CLIENT_SECRET, algorithm="HS256")
        return {"access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}

    def _answer(self, path: str, headers: Any, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        place = path.removeprefix("/realms/cars")
        if self.is_down:
            return 503, {}
        if place == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        if place == "/token":
            token = self._token(body)
            return (200, token) if token else (400, {"error": "invalid_grant"})
        if place == "/userinfo":
            is_known = headers.get("Authorization", "").removeprefix("Bearer ") in self.access_tokens
            return (200, self.person) if is_known else (401, {})
        return 404, {}

    def _handler(provider) -> type[BaseHTTPRequestHandler]:  # noqa: N805  (the inner class has a self of its own)
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send({})

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                self._send({name: values[0] for name, values in parse_qs(content).items()})

            def _send(self, body: dict[str, str]) -> None:
                status, answer = provider._answer(urlsplit(self.path).path, self.headers, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                """Not into the tests' output."""

        return Handler
