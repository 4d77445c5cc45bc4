"""What every test sees: the project's packages as Ansible and pyinfra see them, and how golden files are renewed."""

import os
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


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Give each phase of a molecule scenario a result file of its own: molecule passes the same options to all."""
    directory = os.environ.get("UNSHIM_JUNIT")
    if directory and not config.option.xmlpath and not hasattr(config, "workerinput"):
        paths = [Path(argument) for argument in config.args]
        phases = sorted({path.name if path.is_dir() else path.parent.name for path in paths})
        config.option.xmlpath = str(Path(directory, "+".join(phases) + ".xml"))


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")
