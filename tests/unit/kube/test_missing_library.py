"""A library that is missing is named, be it the Kubernetes client or one that it needs."""

import json
import subprocess
import sys

import pytest

MODULE = """
import json, sys
import ansible.module_utils as found

found.__path__.append("module_utils")
sys.modules[{missing!r}] = None
from ansible.module_utils.unshim_kube import module_run

class Module:
    def fail_json(self, **said):
        print(json.dumps(said))

module_run.run(Module(), None)
"""


@pytest.mark.parametrize("missing", ["kubernetes", "dateutil"])
def test_what_is_missing_is_named(missing):
    script = MODULE.format(missing=missing)
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=True)
    assert f"required Python library ({missing})" in json.loads(done.stdout)["msg"]
