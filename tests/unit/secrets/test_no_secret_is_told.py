"""Secrets that are planted in everything unshim reads turn up in nothing it prints or writes for people and other programs."""

import base64
import datetime
import json

import planted
import pytest

from unshim import (
    audit,
    audit_model,
    audit_text,
    bundle,
    observe,
    plan,
    plan_text,
    progress,
    provision,
    records,
    report,
    report_findings,
    report_html,
    report_markdown,
    timeline,
)
from unshim.dind import manifests as dind_manifests
from unshim.dind import model as dind_model
from unshim.dind import registry_settings
from unshim.dind import unit as dind_unit
from unshim.dind.model import Cluster, Networks
from unshim.monitoring import endpoint
from unshim.monitoring import files as monitoring_files
from unshim.node_compat import evaluation, observation, report_json, report_junit
from unshim.node_compat import report_markdown as compat_markdown
from unshim.node_compat.model import Observed, Run
from unshim.plan_model import Settings
from unshim.progress import Board
from unshim.report_model import HostInput
from unshim.workloads import outputs, scan, static_pods
from unshim.workloads.model import ScanSettings

IMAGE = f"docker@sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def facts():
    return observe.parse(planted.probe())


@pytest.fixture(scope="module")
def made(facts):
    return plan.make(facts, Settings(), "w1")


def test_the_secrets_are_where_they_were_planted(facts, made):
    """Else the tests below would prove nothing."""
    seen = json.dumps(records.to_data(facts))
    elsewhere = [planted.KUBE_TOKEN, planted.KEY_LINE, planted.OBJECT]  # in logs and in the cluster's objects
    assert [one for one in planted.ALL if one not in seen] == elsewhere
    assert not [finding.message for finding in made.findings if finding.id in ("planner-fault", "file-not-readable")]
    assert any(change.secret for change in made.files)


def scanned(facts):
    documents, problems = static_pods.documents([static_pods.node_of("w1", facts)])
    found = scan.reported("nodes", documents, ScanSettings(), [], problems, datetime.date(2026, 11, 26))
    assert found.findings
    return found


def test_plan(facts, made):
    diffs = [plan_text.ansible_diff(change) for change in made.files]
    texts = {
        "text": plan_text.render(made), "summary": plan_text.summary(made), "blockers": plan_text.blockers(made),
        "diff": json.dumps(diffs), "provision": "\n".join(provision.foreseen(made)),
    }  # fmt: skip
    told_in(texts)


def test_audit(facts, made):
    node = audit.judge(audit_model.Sighting("w1", "seen", "", 1.0), facts, made)
    found = audit.total([node], "2026-11-26T00:00:00Z")
    told_in({"text": audit_text.render(found), "json": json.dumps(records.to_data(found))})


def test_timeline(facts):
    told_in({"text": timeline.render("w1", facts.files["/var/lib/unshim/journal.json"].content)})


def test_report(facts, made):
    data = {**records.to_data(made), "blockers": records.to_data(list(made.blockers))}
    host = HostInput(
        "w1", facts=records.to_data(facts), plan=data, announced=data,
        journals=f"==> /var/lib/unshim/journal.json <==\n{planted.JOURNAL}\n",
        failed=planted.MESSAGE, failed_task="Configure", failed_cause=planted.LOG,
    )  # fmt: skip
    workloads = report_findings.read(json.loads(outputs.render(scanned(facts), "json", "1")))
    found = report.make([host], workloads, 1795518000.0, "")
    told_in({
        "html": report_html.render(found), "markdown": report_markdown.render(found), "json": json.dumps(records.to_data(found)),
    })  # fmt: skip


def test_scan(facts):
    found = scanned(facts)
    told_in({form: outputs.render(found, form, "1") for form in outputs.FILE_NAMES})


def test_compat(facts):
    node = {"metadata": {"name": "w1"}, "status": {"nodeInfo": {"containerRuntimeVersion": "docker://20.10.24"}}}
    dump = f"@@unshim-probe 1\n@@config\n{planted.CONFIG_TOML}\n@@complaints\n{planted.MESSAGE}\n@@unshim-probe-end\n"
    values = {
        **observation.from_facts(facts), **observation.from_cluster(node), **observation.from_node(dump, facts),
        "pod.start": planted.MESSAGE, "pull.images": planted.MESSAGE, "pod.exec": planted.MESSAGE,
    }  # fmt: skip
    observed = Observed("containerd", values, {"pod": planted.MESSAGE})
    run = Run(
        "w1",
        "containerd",
        "1.6.20",
        "v1.20.2",
        "x",
        "2026-11-26T00:00:00Z",
        False,
        evaluation.judge(observed),
        observed,
    )
    told_in({
        "json": report_json.render(run), "junit": report_junit.render(run), "markdown": compat_markdown.render(run),
        "summary": compat_markdown.summary(run),
    })  # fmt: skip


def test_monitoring(facts):
    made_files = monitoring_files.render(
        [], overrides={}, node_exporter_port=9100, cri_endpoint="unix:///x", crictl="crictl", health_checker="hc"
    )
    told_in(made_files)
    found = endpoint.make(facts, "127.0.0.1:1338")
    told_in({"fact": json.dumps({name: value for name, value in records.to_data(found).items() if name != "files"})})
    assert all(
        one["secret"] for one in records.to_data(found)["files"] if any(s in json.dumps(one) for s in planted.ALL)
    )


def test_progress():
    board = Board()
    for host in ("w1", "w2"):
        board.task(host, "containerd", 0.0)
    events = [
        *board.failed("w1", "Configure containerd", planted.MESSAGE, 1.0),
        *board.lost("w2", planted.MESSAGE, 2.0),
    ]
    assert len(events) == 2
    told_in({"json": json.dumps(events), "lines": "\n".join(filter(None, map(progress.plain, events)))})
    told_in({"board": "\n".join(board.lines(3.0, 400, 40))})


def test_bundle(facts, made):
    told_in(bundle.build(
        host="w1", failed_task="Configure containerd", cause=planted.MESSAGE, result={"msg": planted.MESSAGE, "stderr": planted.LOG},
        plan_text=plan_text.render(made), facts=records.to_data(facts), plan=records.to_data(made),
        node={"kubelet.log": planted.LOG, "journal.json": planted.JOURNAL, "docker.txt": planted.DROP_IN, "unshim.log": planted.CONFIG_TOML},
        cluster={"pods.json": {"items": [{"spec": planted.MANIFEST, "env": [{"name": "DB_PASSWORD", "value": planted.OBJECT}]}]}},
        missing=[planted.MESSAGE], now=1795600000.0,
    ))  # fmt: skip


def told_in(texts):
    """Assert that no text tells a planted secret, also not in another spelling."""
    leaks = [(name, secret) for name, text in texts.items() for secret in planted.ALL if secret in text]
    assert not leaks, [(name, secret, context(texts[name], secret)) for name, secret in leaks]


def context(text, secret):
    at = text.index(secret)
    return text[max(0, at - 120) : at + 20]


def test_a_new_file_with_a_secret_is_its_owners_alone(facts, made):
    """A file that is there keeps the mode that its owner gave it."""
    with_one = [change for change in made.files if any(secret in (change.after or "") for secret in planted.ALL)]
    assert {change.before is None for change in with_one} == {True, False}
    for change in with_one:
        assert change.secret, change.path
        assert change.mode == "0600" if change.before is None else facts.files[change.path].mode, change.path


@pytest.mark.parametrize("mode", ["sidecar", "daemonset", "service"])
def test_docker_in_docker(facts, mode):
    """A Secret is the only object that may hold one."""
    cluster = Cluster(version="1.20.2", networks=Networks(), registries=registry_settings.of_node(facts))
    settings = dind_model.Settings(mode=mode, image=IMAGE)
    as_a_secret = base64.b64encode(planted.PROXY_URL.encode()).decode()
    assert as_a_secret in json.dumps(dind_manifests.secrets(settings, cluster))
    text = dind_manifests.render(settings, cluster, "c0ffee")
    told_in({"manifests": text})
    assert as_a_secret not in text


def test_docker_in_docker_without_kubernetes(facts):
    found = registry_settings.of_node(facts)
    made = dind_unit.files(dind_model.Settings(image=IMAGE), found, Networks(), "nft")
    open_to_all = {path: text for path, text in made.files.items() if path not in made.secret}
    assert made.secret and any(planted.PROXY in made.files[path] for path in made.secret)
    told_in(open_to_all)
