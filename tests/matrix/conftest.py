"""What the tests of a machine see: its variables in the inventory, and a pod started through CRI on it."""

import ast
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


NODE_CODE = ROOT / "module_utils/unshim_node"


def imported(source: str) -> set[str]:
    """Return the modules of unshim_node that a program or one of them imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.level == 1 or (node.module or "").startswith("unshim_node")):
            module = (node.module or "").removeprefix("unshim_node").lstrip(".")
            found |= {module} if module else {alias.name for alias in node.names}
    return found


def packed(main: Path) -> str:
    """Return a Python program that brings what it needs of the project's code along, as one base64 word for a command line."""
    names, new = {"__init__"}, imported(main.read_text())
    while new:
        names |= new
        new = {one for name in new for one in imported((NODE_CODE / f"{name}.py").read_text())} - names
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.write(main, "__main__.py")
        for name in sorted(names):
            file.write(NODE_CODE / f"{name}.py", f"unshim_node/{name}.py")
    return base64.b64encode(archive.getvalue()).decode()


@pytest.fixture
def program():
    return packed


@pytest.fixture(scope="module")
def pod(host, variables):
    """Run a pod through the machine's CRI and return what cri_pod.py saw of it; the pod is gone then."""
    run = host.run(
        "program=$(mktemp) && echo %s | base64 -d >$program && python3 $program %s; code=$?; rm -f $program; exit $code",
        packed(Path(__file__).with_name("cri_pod.py")),
        variables["unshim_sandbox_image"].rsplit("/", 1)[0] + "/busybox:1.35",
    )
    assert run.rc == 0, run.stderr
    return json.loads(run.stdout)
