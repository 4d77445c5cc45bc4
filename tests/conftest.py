"""What every test sees: the project's packages as Ansible and pyinfra see them, and how golden files are renewed."""

import os
import sys
from pathlib import Path

import ansible.module_utils
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
for folder in ("module_utils", "library"):
    sys.path.insert(0, str(ROOT / folder))
# Modules import the same code as ansible.module_utils.unshim_node and so on.
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))


# No deadline: a busy machine is no bug. `make test-full` looks at many more examples.
settings.register_profile("quick", deadline=None)
settings.register_profile("full", deadline=None, max_examples=5000)
settings.load_profile("full" if os.environ.get("UNSHIM_FULL") else "quick")


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
    config.addinivalue_line(
        "markers", "full: one more of a class that `make test` has another of; UNSHIM_FULL=1 runs it"
    )


def pytest_collection_modifyitems(config, items):
    """Leave out what is marked `full`, unless all are wanted or tests were named."""
    # A file's name says nothing: molecule names each file it finds.
    named = config.option.keyword or any("::" in one for one in config.args)
    if os.environ.get("UNSHIM_FULL") or named:
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")
