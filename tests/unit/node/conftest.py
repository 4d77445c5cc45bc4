"""Put what these tests share on the path."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from stand_in_node import node  # noqa: F401  a fixture


@pytest.fixture(autouse=True)
def on_a_node(monkeypatch):
    """A module runs in a process of its own, never in a controller's, whatever another test has imported here."""
    monkeypatch.setattr("ansible.module_utils._internal.is_controller", False, raising=False)
