"""A damaged journal is read as the modules on the node read it: from the generation before it."""

import base64
import json

import pytest

from unshim import journal_text, observe, plan
from unshim.plan_model import Settings

OLD = json.dumps({"format": 1, "state": "drained"})
NEW = json.dumps({"format": 1, "state": "switched"})


def seen(path, text):
    if text is None:
        return f"@@file {path}\nkind missing\n"
    return f"@@file {path}\nkind file\ncontent base64\n{base64.encodebytes(text.encode()).decode()}"


@pytest.mark.parametrize(
    "journal, previous, state, is_older",
    [
        (NEW, OLD, "switched", False),
        (NEW[: len(NEW) // 2], OLD, "drained", True),
        ("", OLD, "drained", True),
        ("{}", OLD, "drained", True),
        (None, OLD, "drained", True),
        (NEW, OLD[:9], "switched", False),
        (NEW[:9], OLD[:8], None, False),
        ('{"format": 2}', OLD, "docker", False),
    ],
)
def test_what_counts(journal, previous, state, is_older):
    body = seen(journal_text.JOURNAL, journal) + seen(journal_text.PREVIOUS, previous)
    facts = observe.parse(f"@@unshim-probe 1\n@@system\nhostname n1\nuid 0\n{body}@@unshim-probe-end\n")
    made = plan.make(facts, Settings(), "n1")
    found = [finding for finding in made.findings if finding.id == "journal-damaged"]
    assert journal_text.is_older(facts.files) == is_older
    if state is None:
        assert [finding.severity for finding in found] == ["block"]
    else:
        assert made.state == state
        assert [finding.severity for finding in found] == (["warn"] if is_older else [])
