"""Every planted object is found, with every rule it was planted for and no other, and no look-alike is."""

import json
from collections import Counter
from pathlib import Path

import pytest
import rules_table

from unshim.workloads.manifests import read
from unshim.workloads.model import ScanSettings
from unshim.workloads.registry import RULES
from unshim.workloads.scan import scan

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests/data/workloads"
FINDS, LOOKS_LIKE = "unshim.test/finds", "unshim.test/looks-like"
SETTINGS = ScanSettings(manifest_types=json.loads((DATA / "manifest_types.json").read_text()))


def documents(folder):
    found = []
    for path in sorted((DATA / folder).iterdir()):
        read_documents, problems = read(path.read_text(), str(path.relative_to(ROOT)))
        assert problems == []
        found += read_documents
    return found


def labels(document, name):
    return set(document.metadata.get("annotations", {}).get(name, "").split())


@pytest.fixture(scope="module")
def objects():
    return documents("planted") + documents("harmless") + documents("static")


@pytest.fixture(scope="module")
def found(objects):
    """Return the rules found, by object."""
    rules = {}
    for finding in scan(objects, SETTINGS)[0]:
        rules.setdefault(finding.object, set()).add(finding.id)
    return rules


def test_every_object_says_what_it_is(objects):
    keys = [document.key for document in objects]
    assert [key for key, number in Counter(keys).items() if number > 1] == []
    known = {rule.id for rule in RULES}
    for document in objects:
        finds, looks = labels(document, FINDS), labels(document, LOOKS_LIKE)
        assert bool(finds) != bool(looks), document.key
        assert finds | looks <= known, document.key


def test_what_is_found_is_what_was_planted(objects, found):
    assert found == {document.key: labels(document, FINDS) for document in objects if labels(document, FINDS)}


def test_every_rule_has_planted_objects_and_look_alikes(objects):
    """As many look-alikes as planted objects in all, and one at least of each for every rule."""
    assert sum(bool(labels(one, LOOKS_LIKE)) for one in objects) >= sum(bool(labels(one, FINDS)) for one in objects)
    for rule in RULES:
        assert any(rule.id in labels(document, FINDS) for document in objects), rule.id
        assert any(rule.id in labels(document, LOOKS_LIKE) for document in objects), rule.id


def test_the_table_of_rules(objects, found):
    """Written for people; each rule by itself."""
    planted, similar = ({one.key: labels(one, name) for one in objects} for name in (FINDS, LOOKS_LIKE))
    assert rules_table.write(ROOT / "build/workload-rules.md", planted, similar, found) == 0
