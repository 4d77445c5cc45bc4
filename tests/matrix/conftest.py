"""What the tests of a machine see: its variables in the inventory, and a pod started through CRI on it."""

import base64
import io
import json
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def variables(host):
    return host.ansible.get_variables()


def program(main: Path) -> str:
    """Return a Python program that brings the project's CRI client along, as one base64 word for a command line."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(main, "__main__.py")
        for path in sorted((ROOT / "module_utils/unshim_node").glob("*.py")):
            packed.write(path, f"unshim_node/{path.name}")
    return base64.b64encode(archive.getvalue()).decode()


@pytest.fixture(scope="module")
def pod(host, variables):
    """Run a pod through the machine's CRI and return what cri_pod.py saw of it; the pod is gone then."""
    run = host.run(
        "program=$(mktemp) && echo %s | base64 -d >$program && python3 $program %s; code=$?; rm -f $program; exit $code",
        program(Path(__file__).with_name("cri_pod.py")),
        variables["unshim_sandbox_image"].rsplit("/", 1)[0] + "/busybox:1.35",
    )
    assert run.rc == 0, run.stderr
    return json.loads(run.stdout)
