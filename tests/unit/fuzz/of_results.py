"""The controller: journals, findings, runs of compat.yml, manifests, and what Docker-in-Docker keeps."""

import datetime
import json
from dataclasses import replace
from functools import cache

import fleet
import mutations
import observed_nodes
from parsers import JOURNALS, Parser, facts, file_of, texts

from unshim import observe, records, report, report_findings, report_html, report_journal, report_markdown, timeline
from unshim.dind import certificates
from unshim.dind import host as dind_host
from unshim.node_compat import evaluation, observation, report_json
from unshim.report_model import HostInput
from unshim.workloads import allow_list, manifest_types, manifests, outputs, scan, static_pods
from unshim.workloads.model import ScanSettings


def read_journal(text):
    timeline.render("w1", text)
    timeline.since("verified", text, 1.0)
    timeline.former_cri_sockets(text)
    report_journal.attempts(f"==> {timeline.JOURNAL} <==\n{text}\n")


def report_of_journal(text):
    printed = f"==> /var/lib/unshim/journal-1.json <==\n{text}\n==> {timeline.JOURNAL} <==\n{text}\n"
    shown(report.make([HostInput("w1", journals=printed)], (), 1795518000.0, ""))


def shown(made):
    report_html.render(made)
    report_markdown.render(made)
    json.dumps(records.to_data(made))


def read_findings(text):
    return report_findings.parse(text)


def report_of_findings(text):
    shown(report.make([HostInput("w1")], read_findings(text), 1795518000.0, ""))


def read_compat(text):
    run = report_json.parse(text, "w1.docker.json")
    results = evaluation.judge(run.observed, run)
    report_json.render(replace(run, results=results))


def read_container(text):
    """What container.sh printed in a pod on the node, judged against itself and against what a good node prints."""
    values = {**observed_nodes.CONTAINERD, **observation.from_sections("plain", text)}
    evaluation.judge(observed_nodes.Observed("containerd", values))
    docker = observed_nodes.Observed("docker", {**observed_nodes.DOCKER, **values})
    evaluation.judge(docker)


def read_node_sh(text):
    values = observation.from_node(text, facts("dockershim-worker"))
    evaluation.judge(observed_nodes.Observed("containerd", {**observed_nodes.CONTAINERD, **values}))


@cache
def compat_run():
    observed = observed_nodes.Observed("docker", observed_nodes.DOCKER)
    results = evaluation.judge(observed)
    run = report_json.Run(
        "w1", "docker", "20.10.24", "v1.20.2", "busybox:1", "2026-11-26T00:00:00Z", False, results, observed
    )
    return report_json.render(run)


def sections_of(group, values):
    body = "".join(
        f"@@{name.partition('.')[2]}\n{text}\n" for name, text in values.items() if name.startswith(group + ".")
    )
    return f"@@unshim-probe 1\n{body}@@unshim-probe-end\n"


def scan_manifests(text):
    documents, problems = manifests.read(text, "w1:/etc/kubernetes/manifests/x.yaml", "w1")
    made = scan.reported("a node", documents, ScanSettings(), [], problems, datetime.date(2026, 11, 26))
    for form in outputs.FILE_NAMES:
        outputs.render(made, form, "1").encode("utf-8")


def scan_types(text):
    manifest_types.parse(text, "types.json")


def scan_static(text):
    """A KubeletConfiguration says where static pods are; and the static pods there."""
    seen = facts("dockershim-control-plane")
    new = replace(seen.files["/var/lib/kubelet/config.yaml"], content=text)
    static_pods.documents([static_pods.node_of("cp1", replace(seen, files={**seen.files, new.path: new}))])


# The node: what programs and the kernel say there


def read_certificates(text):
    existing = {name: {"ca.crt": text, "tls.crt": text, "tls.key": text, "ca.pem": text, "cert.pem": text, "key.pem": text} for name in ("unshim-dind-tls", "unshim-dind-server", "unshim-dind-client", "ca", "server", "client")}  # fmt: skip
    certificates.renew(
        existing, certificates.names("unshim-dind"), datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)
    )


MANIFESTS = (*texts("workloads/planted/*.yml"), *texts("workloads/static/*.yaml"))

PRINTED = fleet.printed(fleet.journal("switched", rolled_back=True), fleet.journal("verified", generation=2))
NODE_SH = """\
@@unshim-probe 1
@@config
version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "pause:3.2"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
@@unshim-probe-end
"""
ALLOW_LIST = """\
allow:
  - rule: docker-socket-parent
    object: DaemonSet/monitoring/node-agent
    reason: asked the owner
    expires: 2027-03-31
"""
HOST_PROBE = """\
== route
Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
== kernel
6.1.0-1-amd64
== sysctl
fs.inotify.max_user_instances 128
== iptables nft
works
== iptables legacy
fails: x
== modules
overlay loaded
veth absent
"""

PARSERS = {
    # Journals, results of the scan and of compat.yml, as the report and a later run read them.
    "journal": Parser(read_journal, JOURNALS, mutations.as_json),
    "journals as printed for the report": Parser(report_journal.attempts, (PRINTED,)),
    "journal in the report": Parser(report_of_journal, JOURNALS, mutations.as_json, (), 8, True),
    "findings.json": Parser(read_findings, (json.dumps(fleet.workload_findings()),), mutations.as_json, (report_findings.FindingsError,)),
    "findings.json in the report": Parser(report_of_findings, (json.dumps(fleet.workload_findings()),), mutations.as_json, (report_findings.FindingsError,), 8, True),
    "run of compat.yml": Parser(read_compat, (compat_run(),), mutations.as_json, (report_json.RunError,), 4),
    "container.sh of compat.yml": Parser(read_container, (sections_of("plain", observed_nodes.CONTAINERD),), mutations.text, (observe.ProbeError,), 4),
    "node.sh of compat.yml": Parser(read_node_sh, (sections_of("node", observed_nodes.CONTAINERD), NODE_SH), mutations.text, (observe.ProbeError,), 4),
    # Manifests, of clusters and static pods.
    "manifests": Parser(scan_manifests, MANIFESTS, mutations.as_yaml, (), 8),
    "static pods": Parser(scan_static, (file_of("dockershim-control-plane", "/var/lib/kubelet/config.yaml") + "staticPodPath: /etc/kubernetes/manifests\n",), mutations.as_yaml, (), 4),
    "manifest types": Parser(scan_types, texts("workloads/manifest_types.json"), mutations.as_json, (manifest_types.ManifestTypesError,)),
    "allow-list": Parser(lambda text: allow_list.parse(text, "allow.yml"), (ALLOW_LIST,), mutations.as_yaml, (allow_list.AllowListError,), 2),
    # Docker-in-Docker's look at a node, and the certificates it kept.
    "host_probe.sh": Parser(lambda text: dind_host.prepare(dind_host.parse(text)), (HOST_PROBE,)),
    "certificates": Parser(read_certificates, texts("certificates/ca.crt"), mutations.text, (), 8, True),
}  # fmt: skip
