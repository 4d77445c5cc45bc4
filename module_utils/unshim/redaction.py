"""Take secrets out of what leaves a node for people to read: logs, results of tasks, plans.

Two ways at once. What is known to be secret, because a file of the node or a plan says so, is hidden wherever it turns up;
and what looks like a secret is hidden even if nobody knew of it. Too much hidden is better than too little.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

from .registries import redacted

HIDDEN = "***"
MINIMUM = 6  # characters; a shorter known secret would be hidden in half of all words
_NAME = r"[\w.-]*?(?:passw(?:or)?d|passwd|secret|token|api-?key|access-?key|client-key-data|credentials?)|auth"
#: name = "value", name: value, "name": "value", --name=value
_PAIR = re.compile(
    rf"""(?i)(?<![\w.-])(["']?(?:{_NAME})["']?\s*[:=]\s*)("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s,;"'}}\]]+)"""
)
_USERINFO = re.compile(r"://([^/@\s\"':]*):([^/@\s\"']+)@")
_BARE_USERINFO = re.compile(r"(?i)(proxy[\"']?\s*[:=]\s*[\"']?)[^/@\s\"']+@")
_LOOKS_SECRET = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), HIDDEN),  # a JSON web token
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), HIDDEN),  # kubeadm's bootstrap token
    (re.compile(r"\bLS0tLS1CRUdJTi[A-Za-z0-9+/=]{40,}"), HIDDEN),  # a PEM block in base64, as in a kubeconfig
)
# docker login -p WORD, and USER:WORD for curl, ctr, crictl, skopeo.
_LOGIN = re.compile(r"""(?i)(\blogin\b[^\n|;&]*?\s(?:-p|--password)[ =]+)("[^"\n]*"|'[^'\n]*'|[^\s"'`,;]+)""")
_USER = re.compile(r"""(?i)(\s(?:-u|--user|--creds|--src-creds|--dest-creds)[ =]+["']?[^\s:"'/]+:)([^\s"'`,;]+)""")
_SECRET_KEY = re.compile(rf"(?i)^(?:{_NAME}|auths?)$")
_HARMLESS = re.compile(r"(?i)^(?:true|false|null|none|\d{1,5}|/.*|\*+)$")


def secrets_in(data: Any) -> set[str]:
    """Return the values in ``data`` (texts of files, and dicts and lists of them) that are secret by their names."""
    found: set[str] = set()
    for text in texts(data):
        for match in _PAIR.finditer(text):
            value = match.group(2).strip("\"'")
            found.add(value)
            found.update(_decoded(value))
        found.update(match.group(2) for match in _USERINFO.finditer(text))
    return {one for one in found if len(one) >= MINIMUM and not _HARMLESS.match(one)}


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` without ``secrets`` and without what looks like one."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, instead in _LOOKS_SECRET:
        text = pattern.sub(instead, text)
    text = _PAIR.sub(_without_value, redacted(text))
    for pattern in (_LOGIN, _USER):
        text = pattern.sub(_without_value, text)
    return _BARE_USERINFO.sub(rf"\1{HIDDEN}@", text)


def redact_data(data: Any, secrets: Iterable[str] = ()) -> Any:
    """Return plain ``data`` with every text redacted; a value is hidden too if its key says that it is secret.

    A planned file that is marked ``secret`` keeps only its path and what it is for.
    """
    secrets = tuple(secrets)
    if isinstance(data, dict):
        hide = {"before", "after", "content"} if data.get("secret") is True else set()
        if isinstance(data.get("name"), str) and _SECRET_KEY.match(data["name"]):
            hide.add("value")  # a variable of a container
        return {
            str(key): HIDDEN
            if value and (key in hide or (_SECRET_KEY.match(str(key)) and isinstance(value, str)))
            else redact_data(value, secrets)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [redact_data(one, secrets) for one in data]
    return redact(data, secrets) if isinstance(data, str) else data


def _without_value(match: re.Match[str]) -> str:
    value = match.group(2)
    if _HARMLESS.match(value.strip("\"'")):
        return match.group(0)
    quote = value[0] if value[0] in "\"'" else ""
    return f"{match.group(1)}{quote}{HIDDEN}{quote}"


def texts(data: Any) -> Iterable[str]:
    """Yield every text that is a value in plain data."""
    if isinstance(data, dict):
        for value in data.values():
            yield from texts(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from texts(value)
    elif isinstance(data, str):
        yield data


def _decoded(value: str) -> set[str]:
    """Return what "auth" of a registry stands for, "user:password" in base64, and the password alone."""
    try:
        text = base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return set()
    return {text, text.partition(":")[2]} if ":" in text else set()
