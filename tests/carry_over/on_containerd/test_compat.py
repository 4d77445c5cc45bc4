"""With limits, runtimes and a proxy set, pods have on containerd what they had on Docker, or differ as documented."""

import compat_suite
import pytest
from mixed_lab import BOOKWORM, REGISTRY, TRIXIE


def test_pods_have_what_they_had(lab):
    kept = compat_suite.assert_moved_well(lab, BOOKWORM, TRIXIE, more_images=[f"{REGISTRY}:5000/plain-before:1"])
    assert "marked" in compat_suite.evidence(kept[TRIXIE])["C35"]
    assert compat_suite.outcomes(kept[BOOKWORM])["C26"] == "ok"
    assert "4096 8192" in compat_suite.evidence(kept[BOOKWORM])["C11"]


def test_what_is_planted_is_caught(lab):
    compat_suite.assert_planted_faults_are_caught(lab, TRIXIE)


@pytest.mark.full
def test_a_wrong_cni_directory_is_caught(lab):
    compat_suite.assert_a_wrong_cni_directory_is_caught(lab, TRIXIE)
