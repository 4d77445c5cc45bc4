"""The templates of the files that others read: Prometheus' scrape configuration, node-problem-detector's, log agents'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).parent / "templates"
_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **variables: Any) -> str:
    """Return a template of this package, rendered."""
    return _environment.get_template(template).render(**variables)
