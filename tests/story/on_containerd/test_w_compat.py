"""After the move pods have what they had on Docker, or differ as documented.

Named to run late in its phase: images are pulled again.
"""

import os
import subprocess
import sys

import compat_suite
import pytest

NODE = "unshim-w2"


@pytest.mark.full
def test_pods_have_what_they_had(lab):
    compat_suite.assert_moved_well(lab, *lab.workers)


def test_the_same_as_tests_of_ones_own_nodes(lab):
    command = [sys.executable, "-m", "pytest", "-q", "tests/compat", f"--ansible-inventory={lab.inventory}"]
    # Its results are not this run's.
    environment = {**os.environ, "UNSHIM_JUNIT": ""}
    done = subprocess.run(
        [*command, f"--hosts=ansible://{NODE}"],
        cwd=lab.root, env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and " passed" in done.stdout and " skipped" in done.stdout, done.stdout + done.stderr
