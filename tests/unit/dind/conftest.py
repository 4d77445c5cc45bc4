"""Docker-in-Docker's tests: an image, and a cluster as most are."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from unshim.dind.model import Cluster, Networks, Registries, Settings

IMAGE = "registry.example/dind@sha256:" + "3f" * 32


@pytest.fixture
def image():
    return IMAGE


@pytest.fixture
def settings():
    def make(mode="sidecar", **changes):
        return Settings(**{"mode": mode, "image": IMAGE, **changes})

    return make


@pytest.fixture
def cluster():
    def make(version="1.20.2", **changes):
        networks = Networks(("10.244.0.0/16",), ("10.96.0.0/12",), ("172.17.0.0/16", "192.168.1.0/24"))
        registries = Registries(
            ("https://mirror.example",),
            ("plain.example:5000",),
            {"private.example:5000": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"},
            {"HTTP_PROXY": "http://proxy.example:3128"},
        )
        return Cluster(**{"version": version, "networks": networks, "registries": registries, **changes})

    return make
