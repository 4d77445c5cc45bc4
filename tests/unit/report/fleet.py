"""Fleets for the tests of the report: recorded facts, the planner's plans, and journals in the shape the nodes write."""

import copy
import json
from functools import cache
from pathlib import Path

from unshim import plan, records
from unshim.facts import Facts
from unshim.plan_model import Settings
from unshim.report_model import HostInput

ROOT = Path(__file__).resolve().parents[3]
PROBES = ROOT / "tests" / "data" / "probes"
BEGAN = 1_795_518_000.0  # 2026-11-24 11:00:00 UTC
HOSTILE = {
    "script": "<script>document.title='hacked'</script>",
    "image": '"><img src=x onerror="document.title=\'hacked\'">',
    "markdown": "`|**x** [y](javascript:alert(1)) @everyone #1 ~~z~~ <b>\n# head",
    "long": "n" * 10_240,
    "rtl": "\u202egnp.exe\u202c-שרת-\u0000\x1b[31m",
}


@cache
def _facts(probe):
    return json.loads((PROBES / f"{probe}.facts.json").read_text())


def facts(probe="dockershim-worker"):
    data = copy.deepcopy(_facts(probe))
    for path, file in data["files"].items():
        file.setdefault("path", path)
    for name, unit in data["units"].items():
        unit.setdefault("name", name)
    return records.to_data(records.from_data(Facts, data))


def planned(host, data, **settings):
    made = plan.make(records.from_data(Facts, data), records.from_data(Settings, settings), host)
    return {**records.to_data(made), "blockers": records.to_data(list(made.blockers))}


def journal(state="verified", began=BEGAN, drain=42.0, generation=1, rolled_back=False):
    """Return a journal as unshim_node.journal writes it, of a node that came as far as ``state``."""
    moments = [("prepared", 65.0)]
    if state != "prepared":
        moments += [("drain_started", 120.0), ("drained", 120.0 + drain)]
    if state in ("switched", "verified"):
        moments += [("docker stopping", 122.0 + drain), ("docker stopped", 124.0 + drain), ("switched", 131.5 + drain)]
    if state == "verified":
        moments += [("uncordoned", 166.0 + drain), ("verified", 166.2 + drain)]
    steps = [
        step("configure containerd", "prepare", began + 2, 4),
        step("move images to containerd", "prepare", began + 8, 50),
    ]
    if state in ("switched", "verified"):
        steps.append(
            step("point the kubelet at unix:///run/containerd/containerd.sock", "switch", began + 125 + drain, 6)
        )
    if rolled_back:
        steps.append(step("restore Docker", "rollback", began + 260 + drain, 9))
        moments.append(("rolled back", 300.0 + drain))
    return {
        "format": 1, "generation": generation, "state": state, "source": "dockershim", "steps": steps,
        "files": {"/etc/containerd/config.toml": {"existed": True}, "/var/lib/kubelet/kubeadm-flags.env": {"existed": True}},
        "units": {"docker.service": {"active_state": "active", "unit_file_state": "enabled"}},
        "packages": {}, "annotations": {}, "notes": {},
        "timeline": [{"event": event, "time": began + after} for event, after in moments], "by_hand": [],
    }  # fmt: skip


def step(name, stage, started, seconds, status="done", message=""):
    return {
        "name": name, "stage": stage, "status": status, "started": started, "finished": started + seconds,
        "controller": "admin@192.0.2.7", "message": message, "undo": "",
    }  # fmt: skip


def printed(*journals):
    """Return journals as the role `report` prints them; the last one is the one in force."""
    *past, current = journals
    named = [(f"/var/lib/unshim/journal-{one['generation']}.json", one) for one in past]
    if current is not None:
        named.append(("/var/lib/unshim/journal.json", current))
    return "".join(f"==> {path} <==\n{json.dumps(data, indent=1)}\n" for path, data in named)


@cache
def _base(crictl):
    seen = facts()
    if crictl:  # one that crictl was set up on before: its plan differs in that file
        content = f"runtime-endpoint: unix:///var/run/dockershim.sock\ntimeout: {crictl}\n"
        seen["files"]["/etc/crictl.yaml"] |= {"kind": "file", "content": content, "mode": "0644", "owner": "root"}
    return seen, planned("w1", seen)


def ready(host, crictl=0):
    seen, plan_ = _base(crictl)
    return HostInput(host, facts=seen, plan={**plan_, "node": host, "node_name": host})


@cache
def _blocked():
    seen = facts()
    seen["docker"]["containers"].append(
        {
            "id": "f" * 64,
            "name": "old-exporter",
            "image": "exporter:1",
            "running": True,
            "started_at": "",
            "pid": 1,
            "labels": {},
        }
    )
    return seen, planned("w1", seen)


def blocked(host):
    """A node with a container that is not Kubernetes'."""
    seen, plan_ = _blocked()
    return HostInput(host, facts=seen, plan={**plan_, "node": host, "node_name": host})


def done(host, began=BEGAN, drain=42.0):
    """A node that was moved in this run: its plan was announced, its facts are those of before the switch."""
    given = ready(host)
    return HostInput(
        host, facts=given.facts, plan={**given.plan, "state": "drained"}, announced=given.plan,
        journals=printed(journal("verified", began, drain)),
    )  # fmt: skip


def failed(host, began=BEGAN):
    """A node whose gate failed after the switch, and that was put back."""
    given = ready(host)
    cause = "The canary pod did not run: ImagePullBackOff."
    return HostInput(
        host, facts=given.facts, plan=given.plan, announced=given.plan,
        journals=printed(journal("switched", began, rolled_back=True), journal("docker") | {"timeline": [], "steps": [], "files": {}}),
        failed=f'{host} was not moved. "Run a canary pod on the node" failed: {cause} The node was put back on Docker.',
        failed_task="Run a canary pod on the node", failed_cause=cause, bundle=f"unshim-bundles/20261124T110400Z-{host}",
    )  # fmt: skip


def moving(host):
    given = ready(host)
    return HostInput(
        host, facts=given.facts, plan={**given.plan, "state": "drained"}, journals=printed(journal("drained"))
    )


def unknown(host):
    return HostInput(host)


def mixed():
    """One node of each kind, and one with a name that means harm."""
    control_plane = facts("dockershim-control-plane")
    return [
        HostInput("cp1", control_plane=True, facts=control_plane, plan=planned("cp1", control_plane)),
        done("w1"), done("w2", BEGAN + 200, 75.0), failed("w3", BEGAN + 420), blocked("w4"), ready("w5"), ready("w6"),
        moving("w7"), unknown("w8"),
    ]  # fmt: skip


def large(count):
    """A fleet in the middle of its move; no two nodes are called alike, and some differ in what changes."""
    hosts = []
    for number in range(count):
        host = f"node-{number:03d}.rack-{number % 12}.example.org"
        began = BEGAN + 240 * (number // 25)
        if number % 97 == 96:
            hosts.append(failed(host, began))
        elif number % 61 == 60:
            hosts.append(blocked(host))
        elif number < count * 0.7:
            hosts.append(done(host, began, 20.0 + number % 90))
        elif number % 101 == 100:
            hosts.append(unknown(host))
        else:
            hosts.append(ready(host, crictl=number % 4))
    return hosts


def workload_findings():
    """What the scan says of three objects, one of which is on the allow-list; its form is docs/schemas/findings.schema.json."""

    def finding(rule, severity, kind, namespace, name, field, value, remedy, allowed=""):
        return {"id": rule, "severity": severity, "message": f"{kind}/{namespace}/{name} needs Docker.", "remedy": remedy,
                "object": f"{kind}/{namespace}/{name}", "field": field, "value": value, "file": "", "line": 0, "node": "",
                "fingerprint": "0123456789abcdef", "allowed": allowed}  # fmt: skip

    volume = "spec.template.spec.volumes[0].hostPath.path"
    probe = "spec.template.spec.containers[0].livenessProbe"
    socket = ("/var/run/docker.sock", "Read /var/log/pods.")
    return {
        "form": 1, "source": "a cluster", "scanned": {"objects": 3, "pod_specs": 3}, "problems": [], "notes": [],
        "count": {"block": 1, "warn": 1, "info": 0},
        "findings": [
            finding("docker-socket-mount", "block", "DaemonSet", "monitoring", "log-agent", volume, *socket),
            finding("exec-probe-timeout", "warn", "StatefulSet", "shop", "cart", probe, "exec", "Set timeoutSeconds."),
        ],
        "allowed": [
            finding("docker-socket-mount", "block", "Deployment", "ci", "builder", volume, *socket,
                    allowed="moves to a Docker-in-Docker sidecar in December"),
        ],
    }  # fmt: skip
