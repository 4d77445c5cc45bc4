"""Scenarios that run at the same time, in the same checkout, leave what they leave in places of their own."""

from pathlib import Path

import yaml

INVENTORIES = Path(__file__).parents[3] / "inventory"


def test_bundles_of_the_faults_are_not_among_those_a_runbook_looks_at():
    def directory(lab):
        found = yaml.safe_load((INVENTORIES / lab / "hosts.yml").read_text())
        return found["all"]["vars"].get("unshim_bundle_dir", "unshim-bundles")

    assert directory("lab") != directory("lab-rolling")
