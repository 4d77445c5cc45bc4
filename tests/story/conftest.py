"""The story's shared parts: the lab's cluster, as the tests of each phase see it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import Lab


@pytest.fixture(scope="session")
def lab():
    return Lab(Path(__file__).parents[2])
