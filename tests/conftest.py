"""What every test sees: the project's packages as Ansible and pyinfra see them, and how golden files are renewed."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
for folder in ("module_utils", "library"):
    sys.path.insert(0, str(ROOT / folder))


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the code returns now into the expected files; look at the diff before you commit it",
    )


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")
