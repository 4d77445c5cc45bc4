"""What these tests share is beside them."""

import json
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "workloads")]

from api_server import ApiServer
from planted_data import DATA

from unshim.workloads.manifests import read


def planted_objects():
    """Return the planted set and its look-alikes as an API would hold them: defaults filled in."""
    objects = []
    for folder in ("planted", "harmless"):
        for path in sorted((DATA / folder).iterdir()):
            objects += [json.loads(json.dumps(document.object)) for document in read(path.read_text(), path.name)[0]]
    for one in objects:
        _fill_in(one)
    return objects


def _fill_in(value):
    """The default that the scan could stumble over (kubernetes pkg/apis/core/v1/defaults.go, SetDefaults_Probe)."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key in ("livenessProbe", "readinessProbe", "startupProbe"):
                one.setdefault("timeoutSeconds", 1)
            _fill_in(one)
    elif isinstance(value, list):
        for one in value:
            _fill_in(one)


@pytest.fixture
def api_server():
    servers = []

    def start(objects=None, forbidden=()):
        servers.append(ApiServer(planted_objects() if objects is None else objects, forbidden))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
