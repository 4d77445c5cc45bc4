"""Release files that are not what their checksums say: refused before anything changed, whichever of them it is."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests/story"))

import node_snapshot
from lab import Lab

MACHINE = "unshim-m-archive"
WRONG = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def lab():
    return Lab(ROOT)


# The last one, too: what comes before it must not have been put to use.
@pytest.mark.parametrize("archive", [pytest.param("containerd", marks=pytest.mark.full), "cni"])
def test_wrong_checksum_is_refused_and_nothing_changed(lab, archive):
    before = node_snapshot.take(lab, MACHINE)
    settings = ["-e", f"unshim_hosts={MACHINE}", "-e", f"matrix_{archive}_sha256={WRONG}"]
    run = lab.playbook("provision", *settings, inventory="inventory/lab-matrix/hosts.yml")
    assert run.code != 0
    said = " ".join(run.output.split())
    assert WRONG in said
    assert len(set(re.findall(r"\b[0-9a-f]{64}\b", said))) == 2, "the message does not say which checksum the file has"
    assert "nothing was changed" in said.lower()
    assert "Traceback" not in run.output
    assert node_snapshot.changes(before, node_snapshot.take(lab, MACHINE)) == {}
