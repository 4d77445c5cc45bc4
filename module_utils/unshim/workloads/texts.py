"""Texts inside objects: what ConfigMaps hold, line by line and as the data they spell."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml

from .. import yaml_text
from .model import Json, Path

LONGEST = 1_000_000  # characters; etcd takes no bigger object by default


def config_texts(data: Json) -> Iterator[tuple[Path, str, str]]:
    """Yield (path, key, text) of every text in a ConfigMap."""
    if data.get("kind") == "ConfigMap" and isinstance(data.get("data"), dict):
        for key, value in data["data"].items():
            if isinstance(value, str) and len(value) <= LONGEST:
                yield ("data", str(key)), str(key), value


def lines(text: str, comment: str = "#") -> Iterator[str]:
    """Yield the lines of a text that are no comments, without what surrounds them."""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith(comment):
            yield stripped


def as_yaml(text: str) -> list[Any]:
    """Return the documents of a text that is YAML or JSON; [] if it is not."""
    try:
        return [one for one in yaml_text.load_all(text) if isinstance(one, dict | list)]
    except (yaml.YAMLError, ValueError, RecursionError):
        return []


def as_toml(text: str) -> Json:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return {}


def as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def is_shell_script(key: str, text: str) -> bool:
    return bool(re.match(r"#!\s*\S*/(?:env\s+)?(?:ba|da|a|k|z)?sh\b", text)) or key.endswith((".sh", ".bash"))


def walk(value: Any, path: Path = (), depth: int = 0) -> Iterator[tuple[Path, Any]]:
    """Yield every value inside ``value`` with its path, ``value`` itself first."""
    yield path, value
    if depth < 40:
        if isinstance(value, dict):
            for key, one in value.items():
                yield from walk(one, (*path, str(key)), depth + 1)
        elif isinstance(value, list):
            for index, one in enumerate(value):
                yield from walk(one, (*path, index), depth + 1)
