"""Real output of probe.sh, and the facts it must become. To add a case, add a file; see tests/data/probes/README.md."""

import json
from pathlib import Path

import pytest

from unshim import observe, records
from unshim.facts import Facts

PROBES = Path(__file__).parents[2] / "data" / "probes"
CASES = sorted(PROBES.glob("*.probe"))


def read(path):
    return path.read_bytes().decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("probe", CASES, ids=lambda path: path.stem)
def test_probe_becomes_facts(probe, update_golden):
    golden = probe.with_suffix(".facts.json")
    facts = records.to_data(observe.parse(read(probe)))
    if update_golden:
        golden.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    assert facts == json.loads(golden.read_text())


@pytest.mark.parametrize("probe", CASES, ids=lambda path: path.stem)
def test_facts_survive_the_way_through_ansible(probe):
    facts = observe.parse(read(probe))
    assert records.from_data(Facts, records.to_data(facts)) == facts


@pytest.mark.parametrize("probe", CASES, ids=lambda path: path.stem)
def test_a_terminal_in_between_changes_nothing(probe):
    text = read(probe)
    assert observe.parse("Welcome!\r\n" + text.replace("\n", "\r\n") + "logout\r\n") == observe.parse(text)


@pytest.mark.parametrize("probe", CASES, ids=lambda path: path.stem)
def test_no_probe_carries_a_key(probe):
    facts = read(probe.with_suffix(".facts.json"))
    for secret in ("PRIVATE KEY", "client-key-data", "token:"):
        assert secret not in facts


def test_there_are_cases():
    """A moved folder must not make the tests above vanish."""
    assert {"dockershim-worker", "dockershim-control-plane"} <= {probe.stem for probe in CASES}
