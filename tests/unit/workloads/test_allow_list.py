"""The allow-list: what it lets pass, until when, and what is wrong with one."""

import datetime

import pytest

from unshim.workloads.allow_list import AllowListError, apply, parse
from unshim.workloads.model import WorkloadFinding

TODAY = datetime.date(2027, 3, 31)
ENTRY = "allow:\n  - rule: docker-socket-mount\n    object: %s\n    reason: asked\n    expires: %s\n"


def finding(rule="docker-socket-mount", object="Deployment/ci/agent"):
    return WorkloadFinding(rule, "block", "m", "r", object=object)


@pytest.mark.parametrize(
    ("pattern", "expires", "passes"),
    [
        ("Deployment/ci/agent", "2027-03-31", True),
        ("Deployment/ci/*", "2099-01-01", True),
        ("'*/ci/agent'", "2099-01-01", True),
        ("Deployment/ci/agent", "2027-03-30", False),
        ("Deployment/ci/other", "2099-01-01", False),
        ("Deployment/CI/agent", "2099-01-01", False),
        ("agent", "2099-01-01", False),
    ],
)
def test_what_passes(pattern, expires, passes):
    kept, allowed, _ = apply([finding()], parse(ENTRY % (pattern, expires), "a.yml"), TODAY)
    assert (kept, len(allowed)) == (([], 1) if passes else ([finding()], 0))
    if passes:
        assert allowed[0].allowed == f"asked (until {expires})"


def test_another_rule_of_the_same_object_stays():
    other = finding(rule="docker-command")
    kept, allowed, _ = apply([other, finding()], parse(ENTRY % ("Deployment/ci/agent", "2099-01-01"), "a.yml"), TODAY)
    assert kept == [other] and len(allowed) == 1


def test_entries_that_ended_or_match_nothing_are_told_with_their_line():
    entries = parse(
        ENTRY % ("Deployment/ci/agent", "2027-03-30") + ENTRY.removeprefix("allow:\n") % ("Pod/x/y", "2099-01-01"), "a"
    )
    _, _, notes = apply([finding()], entries, TODAY)
    assert notes == [
        "allow-list, line 2: docker-socket-mount of Deployment/ci/agent ended on 2027-03-30; look again, then give it a new date or solve it.",
        "allow-list, line 6: docker-socket-mount of Pod/x/y matches nothing; take it out.",
    ]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "allow:\n", "allow: []\n"])
def test_an_empty_one_lets_nothing_pass(text):
    assert parse(text, "a.yml") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("allow: [", "a.yml:1: it is not valid YAML"),
        ("- rule: x\n", "a.yml:1: an allow-list is one key"),
        ("allow: {}\n", "a.yml:1: an allow-list is one key"),
        ("allow: []\nmore: 1\n", "a.yml:1: an allow-list is one key"),
        ("allow:\n  - docker-socket-mount\n", "a.yml:2: an entry has the keys rule, object, reason, expires"),
        ("allow:\n\n  - {rule: docker-socket-mount, object: a, reason: b}\n", "a.yml:3: an entry has the keys"),
        ((ENTRY % ("a", "2099-01-01")).replace("docker-socket-mount", "docker-sock"), "there is no rule 'docker-sock'"),
        ((ENTRY % ("a", "2099-01-01")).replace("reason: asked", "reason: ' '"), "reason must be a text"),
        (ENTRY % ("3", "2099-01-01"), "object must be a text"),
        (ENTRY % ("a", "never"), "a.yml:2: expires must be a date such as"),
        (ENTRY % ("a", "2099-13-01"), "a.yml: it is not valid YAML"),
        (ENTRY % ("a", "'2099-01-01'"), "expires must be a date"),
    ],
)
def test_a_wrong_one_is_refused_whole(text, says):
    with pytest.raises(AllowListError) as caught:
        parse(text, "a.yml")
    assert says in str(caught.value)
