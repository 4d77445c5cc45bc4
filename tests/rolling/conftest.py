"""The story's shared parts: inventory/lab-rolling as its tests see it, in the order of their names."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "story"), str(Path(__file__).parent)]

from rolling_lab import RollingLab


@pytest.fixture(scope="session")
def lab():
    return RollingLab(ROOT)
