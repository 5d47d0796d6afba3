"""Removing secrets from text that goes to a log.

Two nets. The values that the settings hold (the database's password, the secret key) are known, so they are removed
wherever and however they are written. What clients send is not known, so it is found by where it stands: under a name
such as ``password``, in a header, in the address of a server. Where the end of a secret cannot be seen, what follows is
removed with it: a line that says too little is repaired by looking again, a password in a log is not.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

REDACTED = "[hidden]"
SHORTEST_KNOWN = 6  # characters; a shorter value would be found inside of ordinary words

NAMES = (
    r"pass(?:word|wd|phrase|code)s?|pwd|secrets?|tokens?|api[_-]?keys?|visitor[_-]?keys?|private[_-]?keys?|"
    r"secret[_-]?key|access[_-]?key|credentials?|sessionid|csrftoken|csrfmiddlewaretoken|otp|"
)
HEADERS = r"(?:proxy[_-])?authorization|(?:set[_-])?cookies?"
IS_SECRET_NAME = re.compile(rf"(?i){NAMES.removesuffix('|')}|{HEADERS}")

# A name, in quotes or not, and what stands between it and its value: `"password": `, `password=`, `user[password]=`
_NAME = rf"(?P<name>(?:{NAMES}{HEADERS})[\w.\-\]\)]*)"
_LINK = r"(?:\\*[\"'])?[ \t]*(?:=>|%3D|[:=])[ \t]*[bu]?"
# A value in quotes ends at a quote with as many backslashes before it as the one it began with; those inside have more
_QUOTED = r"(?P<marks>\\*)(?P<quote>[\"'])(?:.*?(?<!\\)(?P=marks)(?P=quote)|.*)"
# Unquoted: a header runs to the end of its line, anything else to the next blank or `&` that no backslash precedes
_BARE = r"(?:\\.|[^\s&\\])+"
ASSIGNMENT = re.compile(rf"(?is){_NAME}(?P<link>{_LINK})(?:(?P<quoted>{_QUOTED})|(?P<bare>{_BARE}))")
IS_HEADER = re.compile(rf"(?i){HEADERS}")

# The password of a server may hold anything, an @ or a blank included, so it reaches to the last @ there is
SERVER_ADDRESS = re.compile(
    r"(?is)\b(?P<scheme>(?:postgres(?:ql)?|psql|rediss?(?:\+socket)?|unix|amqps?|mysql|mongodb(?:\+srv)?|smtps?)://)"
    r"(?P<secret>[^\s/@:?#]*:.*)(?=@)"
)
# So may any other's; digits and a slash after the colon are a port. A long name without a password is a token
ANY_ADDRESS = re.compile(r"(?<=://)(?:[^\s/@:?#]*:(?!\d{1,5}(?:[/?#\s]|\Z))\S+|[^\s/@:?#]{20,})(?=@)")
IN_QUERY = re.compile(r"(?i)(?<=[?&;])(?P<name>(?:access_?)?key|sig|[\w-]*signature|auth|code|hmac)=[^\s&;\"']+")
BEARER = re.compile(r"(?i)\b(?P<scheme>bearer|api-key)(?P<gap>\s+)[^\s\"',]+")
BASIC = re.compile(r"(?i)\b(?P<scheme>basic)(?P<gap>\s+)(?P<value>[A-Za-z0-9+/_-]{4,}={0,2})")
UNMISTAKABLE = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*|\bfc_[\w-]{20,}")  # a JWT, an API key of ours


def redact(text: str, known: Iterable[str] = ()) -> str:
    """The text without what looks like a secret, nor any of the ``known`` spellings (``spellings_of``)."""
    for secret in known:
        text = text.replace(secret, REDACTED)
    if "://" in text:
        text = SERVER_ADDRESS.sub(rf"\g<scheme>{REDACTED}", text)
        text = ANY_ADDRESS.sub(REDACTED, text)
    text = IN_QUERY.sub(rf"\g<name>={REDACTED}", text)
    text = BASIC.sub(_without_basic, text)
    text = BEARER.sub(rf"\g<scheme>\g<gap>{REDACTED}", text)
    text = UNMISTAKABLE.sub(REDACTED, text)
    return _without_assignments(text)


def redact_values(data: Any, known: Iterable[str] = ()) -> Any:
    """The same for what is not text yet: dictionaries and lists of anything."""
    if isinstance(data, str):
        return redact(data, known)
    if isinstance(data, Mapping):
        return {
            key: REDACTED if isinstance(key, str) and IS_SECRET_NAME.search(key) else redact_values(value, known)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple | set):
        return [redact_values(each, known) for each in data]
    return data if data is None or isinstance(data, bool | int | float) else redact(str(data), known)


def spellings_of(secrets: Iterable[str]) -> list[str]:
    """How known secrets may be written: as such, quoted for an address, and within JSON or Python; longest first."""
    found: set[str] = set()
    for secret in secrets:
        if len(secret) >= SHORTEST_KNOWN:
            in_json = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
            found |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1], *in_json}
    return sorted(found, key=len, reverse=True)


def _without_assignments(text: str) -> str:
    pieces, position = [], 0
    while match := ASSIGNMENT.search(text, position):
        begin, end = match.end("link"), match.end()
        if match["bare"] is not None and IS_HEADER.search(match["name"]):
            end = _end_of_line(text, begin)
        pieces += [text[position:begin], _in_its_quotes(match)]
        position = end
    return "".join((*pieces, text[position:]))


def _in_its_quotes(match: re.Match[str]) -> str:
    marks = (match["marks"] or "") + (match["quote"] or "")
    return f"{marks}{REDACTED}{marks}"


def _end_of_line(text: str, start: int) -> int:
    end = re.compile(r"[\r\n]").search(text, start)
    return end.start() if end else len(text)


def _without_basic(match: re.Match[str]) -> str:
    """``Basic`` and a user with a password, as base64; the word and another word ("basic settings") are left alone."""
    value = match["value"].translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
    try:
        is_credential = b":" in base64.b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        is_credential = False
    return f"{match['scheme']}{match['gap']}{REDACTED}" if is_credential else match[0]
