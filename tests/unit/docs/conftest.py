"""What ansible-doc shows of the modules, for every test that reads it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def documented():
    """Return by module what ansible-doc shows, fragments included: {"doc": {...}, "examples": text, "return": {...}}."""
    modules = sorted(path.stem for path in (ROOT / "library").glob("*.py"))
    program = Path(sys.executable).parent / "ansible-doc"
    done = subprocess.run(
        [str(program), "--json", "--module-path", "library", "--type", "module", *modules],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sorted(found) == modules, done.stderr
    return found
