"""What registries say of images: the file that tells the scan which images are only there as schema 1."""

from __future__ import annotations

import json


class ManifestTypesError(Exception):
    """The file cannot be used; the message says why."""


def parse(text: str, file: str) -> dict[str, str]:
    """Return the media type of each image's manifest.

    Raises:
        ManifestTypesError: it is no JSON object of texts.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise ManifestTypesError(f"{file}:{line}: it is not valid JSON: {getattr(error, 'msg', error)}.") from None
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise ManifestTypesError(f"{file}:1: it must be one JSON object, the media type by the image as pods name it.")
    return data
