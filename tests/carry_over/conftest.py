"""The scenario's shared parts: inventory/lab-mixed as the tests of each phase see it."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "story"), str(Path(__file__).parent)]

from mixed_lab import MixedLab


@pytest.fixture(scope="session")
def lab():
    return MixedLab(ROOT)
