"""What pods have on Docker is kept, to be compared with."""

import compat_suite
from mixed_lab import BOOKWORM, REGISTRY, TRIXIE

MORE = [f"{REGISTRY}:5000/plain-before:1"]


def test_what_pods_have_is_kept(lab):
    said, kept = compat_suite.run(lab, BOOKWORM, TRIXIE, more_images=MORE)
    assert said.code == 0, said.output
    for node in (BOOKWORM, TRIXIE):
        assert kept[node]["count"]["broken"] == 0
        assert MORE[0] in compat_suite.evidence(kept[node])["C27"]
