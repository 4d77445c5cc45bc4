"""The story's shared parts: inventory/lab-rolling as its tests see it, in the order of their names."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "story"), str(Path(__file__).parent)]

from rolling_lab import RollingLab


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The fleet; playbooks may ask of its cluster what deploy/migration-rbac.yml allows, and nothing else."""
    fleet = RollingLab(ROOT)
    fleet.kubectl("apply", "-f", ROOT / "deploy/migration-rbac.yml")
    path = tmp_path_factory.mktemp("controller") / "kubeconfig"
    fleet.may_do = ("-e", f"unshim_kubeconfig={fleet.kubeconfig_of('unshim-migration', path)}")
    return fleet
