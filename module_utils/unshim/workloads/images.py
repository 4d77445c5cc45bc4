"""Names of images."""

from __future__ import annotations

import re

from packaging.version import InvalidVersion, Version

_VERSION = re.compile(r"^v?(\d+(?:\.\d+){0,3})(?=$|[-+.])")


def repository_of(image: str) -> str:
    """``registry.example.org:5000/team/tool:1.2@sha256:...`` -> ``registry.example.org:5000/team/tool``."""
    image = image.partition("@")[0]
    head, slash, last = image.rpartition("/")
    return head + slash + last.partition(":")[0]


def name_of(image: str) -> str:
    """``registry.example.org/team/tool:1.2`` -> ``tool``."""
    return repository_of(image).rpartition("/")[2]


def tag_of(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def version_of(image: str) -> Version | None:
    """Return the version that the tag says; None for ``latest``, a digest alone, or words."""
    match = _VERSION.match(tag_of(image))
    try:
        return Version(match.group(1)) if match else None
    except InvalidVersion:
        return None


def is_older(image: str, since: Version) -> bool | None:
    """True if the tag says a version before ``since``; None if it does not tell: ``7`` may be 7.1 or 7.60."""
    version = version_of(image)
    if version is None:
        return None
    said, needed = version.release, since.release
    if len(said) < len(needed) and said == needed[: len(said)]:
        return None
    return version < since


def is_repository(image: str, suffix: str) -> bool:
    """True if the repository is ``suffix`` or ends with it: mirrors keep the end of a name."""
    repository = repository_of(image)
    return repository == suffix or repository.endswith("/" + suffix)
