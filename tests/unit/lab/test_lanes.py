"""Scenarios that run at the same time, in the same checkout, leave what they leave in places of their own."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]


def test_bundles_of_the_faults_are_not_among_those_a_runbook_looks_at():
    defaults = yaml.safe_load((ROOT / "roles/unshim/defaults/main.yml").read_text())

    def directory(lab):
        found = yaml.safe_load((ROOT / "inventory" / lab / "hosts.yml").read_text())
        return {**defaults, **found["all"]["vars"]}["unshim_bundle_dir"]

    assert directory("lab") != directory("lab-rolling")
