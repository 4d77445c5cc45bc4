"""The controller: what probe.sh printed, and the files of a node in it, each alone and in the plan of a node that has it."""

import base64
import gzip
import json
from dataclasses import replace

import mutations
from parsers import DAEMON_JSON, DATA, ENVIRONMENT, JOURNALS, SYSTEMD, Parser, facts, file_of, raw, texts

from unshim import (
    audit,
    audit_model,
    audit_text,
    cni,
    containerd_config,
    containerd_imports,
    docker_settings,
    journal_text,
    kubelet_command_line,
    kubelet_configuration,
    kubelet_flags,
    observe,
    plan,
    plan_text,
    probe_command,
    records,
    redaction,
    report,
    rlimits,
    unit_environment,
)  # fmt: skip
from unshim.dind import registry_settings
from unshim.facts import Facts, File
from unshim.monitoring import endpoint
from unshim.plan_model import Settings
from unshim.report_model import HostInput

WORKER, CONTROL_PLANE = "dockershim-worker", "dockershim-control-plane"


def planned(seen, settings=None):
    """The plan of facts, as every writer shows it; the planner reports its own defects as a finding, here they count."""
    made = plan.make(seen, settings or Settings(), "w1")
    faults = [finding.message for finding in made.findings if finding.id == "planner-fault"]
    assert not faults, faults
    plan_text.render(made)
    data = records.to_data(made)
    assert records.from_data(plan.Plan, data) == made
    return made


def read_probe(text):
    seen = observe.parse(text)
    assert records.from_data(Facts, records.to_data(seen)) == seen
    return seen


def plan_probe(text):
    seen = observe.parse(text)
    made = planned(seen)
    sighting = audit_model.Sighting("w1", "seen" if seen.uid == 0 else "partial", "", 1.0)
    audit_text.render(audit.total([audit.judge(sighting, seen, made)], "2026-11-26T00:00:00Z"))
    plan_data = {**records.to_data(made), "blockers": records.to_data(list(made.blockers))}
    report.make([HostInput("w1", facts=records.to_data(seen), plan=plan_data)], (), 0.0, "")


#: Files of a node that the planner reads, each with the recorded node that is planned, and how its text is edited.
PLANNED_FILES = {
    "/var/lib/kubelet/kubeadm-flags.env": ("dockershim-worker", mutations.text),
    "/etc/default/kubelet": ("dockershim-worker", mutations.text),
    "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf": ("dockershim-worker", mutations.text),
    "/var/lib/kubelet/config.yaml": ("dockershim-worker", mutations.as_yaml),
    "/etc/docker/daemon.json": ("dockershim-worker", mutations.as_json),
    "/lib/systemd/system/docker.service": ("dockershim-worker", mutations.text),
    "/etc/systemd/system/docker.service.d/proxy.conf": ("dockershim-worker", mutations.text),
    "/etc/containerd/config.toml": ("dockershim-worker", mutations.as_toml),
    "/etc/crictl.yaml": ("dockershim-worker", mutations.as_yaml),
    "/etc/sysctl.d/kubernetes.conf": ("dockershim-worker", mutations.text),
    "/etc/cni/net.d/10-lab.conflist": ("dockershim-worker", mutations.as_json),
    "/root/.docker/config.json": ("dockershim-worker", mutations.as_json),
    "/var/lib/unshim/journal.json": ("dockershim-worker", mutations.as_json),
    "/etc/kubernetes/manifests/kube-apiserver.yaml": ("dockershim-control-plane", mutations.as_yaml),
    "/etc/kubernetes/manifests/kube-controller-manager.yaml": ("dockershim-control-plane", mutations.as_yaml),
}


def file_change(sample, edits):
    """A sample is a path, a line's end, and what is in that file."""
    path, _, content = sample.partition("\n")
    return path + "\n" + PLANNED_FILES[path][1](content, edits)


def plan_file(text):
    """Plan the recorded node that has this file, with another content."""
    path, _, content = text.partition("\n")
    seen = facts(PLANNED_FILES.get(path, ("dockershim-worker", None))[0])
    try:
        text, is_utf8 = raw(content).decode("utf-8"), True
    except UnicodeDecodeError:
        text, is_utf8 = None, False
    old = seen.files.get(path, File(path))
    new = replace(old, kind="file", content=text, is_utf8=is_utf8, mode="0644", owner="root", group="root")
    planned(replace(seen, files=journal_text.in_force({**seen.files, path: new})))


def read_unit(text, environment=""):
    """A kubelet's unit, and what it would run with; its file of variables may hold anything, too."""
    files_ = {"/u": File("/u", kind="file", content=text), "/e": File("/e", kind="file", content=environment or text)}
    unit = replace(
        facts("dockershim-worker").units["kubelet.service"],
        fragment_path="/u",
        drop_in_paths=(),
        environment_files=("/e",),
    )
    unit_environment.environment(unit, files_)
    return kubelet_command_line.resolve(unit, files_)


def read_containerd(text):
    refused = None
    for version in ("1.4.13", "1.6.20", "2.1.9"):
        containerd_imports.load("/etc/containerd/config.toml", text, {}, version)
        try:
            containerd_config.render(text, version, containerd_config.ContainerdSettings())
        except containerd_config.ConfigError as error:  # one version may take what another refuses
            refused = error
    return refused


def read_daemon_json(text):
    return docker_settings.merge(docker_settings.read_daemon_json(text), "/etc/docker/daemon.json", {})


def read_bundle_piece(text):
    secrets = redaction.secrets_in([text])
    redaction.redact(text, secrets)


LOGINS = json.dumps(
    {"auths": {"registry.example": {"auth": base64.b64encode(b"robot:word").decode()}}, "credsStore": "pass"}
)


PLANNED_SAMPLES = (
    *(f"{path}\n{content}" for path, (name, _) in PLANNED_FILES.items() if (content := facts(name).files[path].content if path in facts(name).files else None)),
    *(f"/etc/docker/daemon.json\n{DAEMON_JSON}", f"/root/.docker/config.json\n{LOGINS}", *(f"/var/lib/unshim/journal.json\n{one}" for one in JOURNALS)),
    "/etc/crictl.yaml\nruntime-endpoint: unix:///var/run/dockershim.sock\ntimeout: 2\n",
    "/etc/sysctl.d/kubernetes.conf\nnet.ipv4.ip_forward = 1\n-net/bridge/bridge-nf-call-iptables=1\n# x\n",
    f"/etc/systemd/system/docker.service.d/proxy.conf\n{SYSTEMD}", f"/etc/default/kubelet\n{ENVIRONMENT}",
    *(f"/etc/containerd/config.toml\n{one}" for one in texts("containerd/*.toml")),
)  # fmt: skip

HOSTS_TOML = """\
server = "https://r.example"
[host."https://mirror.example/v2"]
capabilities = ["pull", "resolve"]
ca = ["/etc/ca.crt"]
skip_verify = true
"""
OCI_SPEC = '{"ociVersion":"1.0.2","process":{"rlimits":[{"type":"RLIMIT_NOFILE","hard":1024,"soft":1024}]}}'


def packed(name):
    """The output of the command that pyinfra runs, for a recorded one of the probe."""
    data = base64.encodebytes(gzip.compress((DATA / f"probes/{name}.probe").read_bytes())).decode()
    return f"{probe_command.PACKED}\n{data}{probe_command.PACKED_END}\n"


def set_kubelet(text):
    wanted = {"containerRuntimeEndpoint": "unix:///run/x.sock", "containerLogMaxFiles": 3}
    return kubelet_configuration.set_values(text, wanted)


def dind_registries(text):
    file = File("/etc/docker/daemon.json", kind="file", content=text)
    return registry_settings.of_node(replace(facts(WORKER), files={**facts(WORKER).files, file.path: file}))


def dind_hosts_toml(text):
    file = File("/etc/containerd/certs.d/r.example/hosts.toml", kind="file", content=text)
    hub = File("/etc/containerd/certs.d/docker.io/hosts.toml", kind="file", content=text)
    return registry_settings.of_node(Facts(files={file.path: file, hub.path: hub}))


def read_cni(text):
    file = File("/etc/cni/net.d/1.conflist", kind="file", content=text)
    return cni.read({file.path: file}, "/etc/cni/net.d")


PARSERS = {
    # What probe.sh printed, as Ansible and pyinfra take it.
    "probe": Parser(read_probe, texts("probes/*.probe"), mutations.as_probe, (observe.ProbeError,), 2),
    "probe, packed": Parser(lambda text: observe.parse(probe_command.unpacked(text)), (packed("fresh-debian"),), mutations.text, (observe.ProbeError,)),
    "probe, planned, audited and reported": Parser(plan_probe, texts("probes/*.probe"), mutations.as_probe, (observe.ProbeError,), 8, True),
    # Files of a node, each alone, and any of them in the plan of a node that has it.
    "systemd unit": Parser(lambda text: read_unit(text, ENVIRONMENT), (SYSTEMD, file_of(WORKER, "/lib/systemd/system/docker.service")), mutations.text, (kubelet_flags.FlagError,)),
    "environment file": Parser(lambda text: read_unit(SYSTEMD, text), (ENVIRONMENT, file_of(WORKER, "/var/lib/kubelet/kubeadm-flags.env")), mutations.text, (kubelet_flags.FlagError,)),
    "kubelet configuration": Parser(set_kubelet, (file_of(WORKER, "/var/lib/kubelet/config.yaml"),), mutations.as_yaml, (kubelet_configuration.YamlError,), 2),
    "daemon.json": Parser(read_daemon_json, (DAEMON_JSON, file_of(WORKER, "/etc/docker/daemon.json")), mutations.as_json, (docker_settings.DaemonJsonError,)),
    "daemon.json in Docker-in-Docker": Parser(dind_registries, (DAEMON_JSON,), mutations.as_json),
    "hosts.toml in Docker-in-Docker": Parser(dind_hosts_toml, (HOSTS_TOML,), mutations.as_toml),
    "containerd's config.toml": Parser(read_containerd, (*texts("containerd/*.toml"), *texts("containerd/imports/*.toml")), mutations.as_toml, (containerd_config.ConfigError,), 4),
    "containerd's metrics address": Parser(lambda text: endpoint.with_address(text, "127.0.0.1:1338"), texts("containerd/*.toml"), mutations.as_toml, (endpoint.EndpointError, containerd_config.ConfigError)),
    "OCI spec": Parser(lambda text: (rlimits.base_spec(text, {"nofile": (1, 2)}), rlimits.limits_of_spec(text)), (OCI_SPEC,), mutations.as_json, (ValueError,)),
    "CNI configuration": Parser(read_cni, (file_of(WORKER, "/etc/cni/net.d/10-lab.conflist"),), mutations.as_json),
    "files of nodes in the plan": Parser(plan_file, PLANNED_SAMPLES, file_change, cost=8, is_deep=True),
    # Logs and texts of a support bundle.
    "redaction": Parser(read_bundle_piece, (SYSTEMD, DAEMON_JSON, *texts("probes/fresh-debian.probe"))),
}  # fmt: skip
