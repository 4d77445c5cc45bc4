"""What an audit says of nodes: recorded probes of real nodes and every way not to see one, against golden files."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import jsonschema
import pytest

from unshim import audit, audit_text, observe, records
from unshim.audit_model import EXIT_CODES, STATUSES, Audit, Node, Runtime, Sighting
from unshim.facts import Docker, Facts, File, Mention
from unshim.plan_model import Finding, NotCarried, Settings

ROOT = Path(__file__).parents[3]
PROBES = sorted((ROOT / "tests/data/probes").glob("*.probe"))
GOLDEN = ROOT / "tests/data/audit"
SCHEMA = json.loads((ROOT / "docs/schemas/audit.schema.json").read_text())
UNSEEN = (
    Sighting("gone", "unreachable", "Could not connect", 0.1),
    Sighting("asleep", "timed-out", "it did not answer the probe within 60 s", 60.0),
    Sighting("odd", "no-probe", "the probe did not run: [bold]no[/] shell", 0.3),
    Sighting("vaulted", "not-audited", "ansible_host is encrypted."),
)


def facts(name):
    return observe.parse((ROOT / f"tests/data/probes/{name}.probe").read_bytes().decode("utf-8", "surrogateescape"))


def of(seen, name="n1", **sighting):
    return audit.of_facts(Sighting(name, "seen", **sighting), seen, Settings())


@pytest.fixture(scope="module")
def fleet():
    nodes = [of(facts(probe.stem), probe.stem, elapsed=1.5) for probe in PROBES]
    nodes.append(of(replace(facts("dockershim-worker"), uid=1000), "as-a-user", reason="sudo: a password is required"))
    nodes += [audit.judge(sighting, None, None) for sighting in UNSEEN]
    return audit.total(nodes, "2026-11-24T12:00:00Z")


@pytest.mark.parametrize("suffix", ["json", "txt"])
def test_golden_audit(fleet, suffix, update_golden):
    golden = GOLDEN / f"fleet.{suffix}"
    text = json.dumps(records.to_data(fleet), indent=1) + "\n" if suffix == "json" else audit_text.render(fleet, 120)
    if update_golden:
        golden.write_text(text)
    assert text == golden.read_text()


def test_the_audit_is_as_the_schema_says(fleet):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(records.to_data(fleet), SCHEMA)


@pytest.mark.parametrize(
    "path, value",
    [
        (("format",), 2),
        (("severity",), "fine"),
        (("time",), "today"),
        (("nodes", 0, "status"), "asleep"),
        (("nodes", 0, "elapsed"), -1),
        (("nodes", 0, "findings"), [{"id": "x"}]),
    ],
)
def test_the_schema_refuses_what_is_no_audit(fleet, path, value):
    data = records.to_data(fleet)
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


@pytest.mark.parametrize(
    "kind, where",
    [
        (Audit, SCHEMA),
        (Node, SCHEMA["properties"]["nodes"]["items"]),
        (Runtime, SCHEMA["properties"]["nodes"]["items"]["properties"]["runtime"]),
        (Finding, SCHEMA["properties"]["nodes"]["items"]["properties"]["findings"]["items"]),
        (NotCarried, SCHEMA["properties"]["nodes"]["items"]["properties"]["not_carried"]["items"]),
    ],
)
def test_the_schema_describes_every_field(kind, where):
    assert list(where["properties"]) == [field.name for field in fields(kind)] == where["required"]
    assert all(field["description"] for field in where["properties"].values())


def test_the_schema_knows_every_status_and_severity():
    node = SCHEMA["properties"]["nodes"]["items"]["properties"]
    assert tuple(node["status"]["enum"]) == STATUSES
    assert set(node["severity"]["enum"]) == set(EXIT_CODES)
    assert set(node["verdict"]["enum"]) == set(audit.VERDICTS)


def test_severity_is_the_worst_of_all_nodes():
    assert audit.worst(["ok", "warn", "unknown", "block"]) == "block"
    assert audit.worst(["ok", "warn", "unknown"]) == "unknown"
    assert audit.worst(["ok", "warn"]) == "warn"
    assert audit.worst(["ok"]) == "ok"
    assert audit.worst([]) == "unknown"


@pytest.mark.parametrize(
    "name, verdict, source",
    [
        ("dockershim-worker", "ready", "dockershim"),
        ("idle-docker-trixie", "blocked", "dockershim"),
        ("fresh-debian", "blocked", "none"),
    ],
)
def test_verdicts(name, verdict, source):
    node = of(facts(name))
    assert (node.status, node.verdict, node.runtime.source) == ("seen", verdict, source)


def test_a_disk_that_is_too_small_is_told():
    seen = facts("dockershim-worker")
    mounts = {path: replace(mount, available=1 << 20) for path, mount in seen.mounts.items()}
    node = of(replace(seen, mounts=mounts))
    assert (node.verdict, node.severity) == ("blocked", "block")
    assert "not-enough-space" in {finding.id for finding in node.findings}


def test_who_calls_docker_is_a_warning_and_names_no_secret():
    mention = Mention("/etc/cron.d/x", 3, "@daily root docker login -p hunter2")
    node = of(replace(facts("dockershim-worker"), docker_mentions=(mention,)))
    assert (node.verdict, node.severity) == ("ready", "warn")
    assert "docker-caller" in {finding.id for finding in node.findings}
    assert "hunter2" not in json.dumps(records.to_data(node))


def test_a_user_who_is_not_root_decides_nothing():
    node = of(replace(facts("dockershim-worker"), uid=1000), reason="sudo: a password is required")
    assert (node.status, node.verdict, node.severity) == ("partial", "unknown", "unknown")
    assert "user id 1000" in node.reason and "sudo: a password is required" in node.reason
    assert "not-root" not in {finding.id for finding in node.findings}


def test_what_was_not_seen_names_the_files_too():
    seen = Facts(files={"/a": File("/a", kind="unreadable"), "/b": File("/b")}, not_seen=("Docker: no",))
    assert audit.not_seen(seen) == ("Docker: no", "/a: may not be read by this user")


def test_facts_are_only_kept_where_asked_for():
    seen = facts("dockershim-worker")
    assert of(seen).facts is None
    kept = audit.of_facts(Sighting("n1", "seen"), seen, Settings(), with_facts=True).facts
    assert records.from_data(Facts, kept) == seen


def test_only_what_was_not_seen_has_no_facts():
    with pytest.raises(ValueError, match="has no facts although it was seen"):
        audit.judge(Sighting("n1", "seen"), None, None)


def test_a_reason_that_looks_like_markup_is_printed_as_it_is(fleet):
    assert "[bold]no[/] shell" in " ".join(audit_text.render(fleet, 400).split())


def test_colour_is_only_for_terminals(fleet):
    assert "\x1b" not in audit_text.render(fleet, 120)
    assert "\x1b" in audit_text.render(fleet, 120, colour=True)


def test_no_line_is_wider_than_the_terminal(fleet):
    for width in (80, 100, 200):
        assert max(len(line) for line in audit_text.render(fleet, width).splitlines()) <= width


def test_many_nodes_with_one_finding_are_told_once():
    nodes = [of(Facts(uid=0, docker=Docker()), f"n{number:03}") for number in range(300)]
    text = audit_text.render(audit.total(nodes, ""), 120)
    assert re.search(r"\[no-systemd\] on n000, n001, n002, n003, n004 and 295 more", text)
    assert text.count("process 1 of the node") == 1
