"""Facts for the planner: recorded from real nodes, with what a case changes laid over them."""

import copy
import json
from pathlib import Path

import pytest

from unshim import records
from unshim.facts import Facts
from unshim.plan_model import Settings

DATA = Path(__file__).resolve().parents[2] / "data"


def merged(data, changes):
    """Lay ``changes`` over ``data`` (JSON merge patch, RFC 7396): null removes a key, a list replaces a list."""
    result = copy.deepcopy(data)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result[key] if isinstance(result.get(key), dict) else {}, value)
        else:
            result[key] = value
    return result


def load_facts(probe, changes=None):
    data = json.loads((DATA / "probes" / f"{probe}.facts.json").read_text())
    data = merged(data, changes or {})
    for path, file in data["files"].items():
        file.setdefault("path", path)
    for name, unit in data["units"].items():
        unit.setdefault("name", name)
    return records.from_data(Facts, data)


@pytest.fixture
def facts_of():
    return load_facts


@pytest.fixture
def worker():
    """A dockershim worker of a kubeadm cluster, as a real node showed itself."""
    return lambda changes=None: load_facts("dockershim-worker", changes)


@pytest.fixture
def settings_of():
    return lambda **given: records.from_data(Settings, given)
