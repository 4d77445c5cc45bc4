"""The node: what programs, sockets and the kernel say there, read by unshim_node and the collector."""

import argparse
import base64
import importlib.util
import io
import json
import tempfile
from functools import cache
from pathlib import Path

import mutations
from parsers import DAEMON_JSON, JOURNALS, ROOT, Parser, raw, texts

from unshim import canary_pod, node_gate, shell_command
from unshim.dind import address_pools
from unshim_node import (
    cni_delete,
    containerd,
    cri,
    cri_by_ctr,
    docker_engine,
    docker_leftovers,
    docker_network,
    docker_remove,
    docker_repository,
    etcd,
    etcd_quorum,
    files,
    grpc_call,
    image_stream,
    journal,
    kubelet,
    package_manager_apt,
    package_manager_dnf,
    package_manager_zypper,
    protobuf_wire,
)  # fmt: skip
from unshim_node.errors import NodeError


def loaded(path):
    """Return the module in a file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


collector = loaded(ROOT / "roles/monitoring/files/unshim_collector.py")
PODS = loaded(ROOT / "tests/unit/node_docker/test_node_cni_delete.py")
FIREWALL = loaded(ROOT / "tests/unit/node_docker/test_node_docker_network.py").FIREWALL


INSPECTED = json.dumps([
    {"Id": "a" * 64, "Name": "/k8s_web_web-1_shop_u_0", "State": {"Running": True, "Pid": 4711}, "HostConfig": {"NetworkMode": "container:" + "b" * 64, "AutoRemove": False},
     "Config": {"Image": "web:1", "StopTimeout": 7, "Labels": {"io.kubernetes.pod.name": "web-1", "io.kubernetes.pod.namespace": "kube-system", "io.kubernetes.container.name": "etcd",
                "annotation.io.kubernetes.pod.terminationGracePeriod": "30", "io.kubernetes.docker.type": "container"}}},
    {"Id": "b" * 64, "Name": "/old", "State": {"Running": True, "Pid": 12}, "HostConfig": {"NetworkMode": "bridge", "AutoRemove": True}, "Config": {"Image": "old:1", "Labels": None}},
])  # fmt: skip


def said(read):
    """What a program on the node says is decoded by unshim_node.commands: bytes that are no text are replaced there."""
    return lambda text: read(raw(text).decode("utf-8", "replace"))


def read_inspect(text):
    found = docker_engine.parse_containers(text)
    docker_engine.foreign_running(found)
    for wave in docker_engine.stop_order(found):
        docker_engine.stop_commands(wave, 30)
    [docker_engine.described(one) for one in found]


def read_lists(text):
    docker_engine.parse_tasks(text)
    image_stream.parse_check(text)
    image_stream.parse_labelled(text, "io.cri-containerd.pinned=pinned")
    cri_by_ctr.cri_plugins(text)
    kubelet.endpoint_in_config(raw(text))
    containerd.configured_root(text)
    for word in text.split():
        image_stream.normalised(word)


def read_kernel(text):
    docker_leftovers.dockers_mounts(docker_leftovers.mount_points(text), "/var/lib/docker")
    docker_remove.mounts_below("/var/lib/docker", text)
    address_pools.routed(text)


def read_canary(text):
    node_gate.cgroup_gate(text)
    canary_pod.limit_gate(text)


def read_cni_cache(text):
    attachment = cni_delete.parse_cached(text, "/var/lib/cni/cache/results/x", PODS_FALLBACK)
    cni_delete.is_loopback(attachment)
    cni_delete.invocations(attachment, "abc", "/proc/7/ns/net", ["/opt/cni/bin"])


PODS_FALLBACK = cni_delete.parse_cached(PODS.cache_file())
CHECKPOINT = json.dumps({"version": "v1", "name": "edge", "namespace": "shop", "data": {"port_mappings": [{"protocol": "TCP", "container_port": 8080, "host_port": 8090, "host_ip": "1.2.3.4"}]}, "checksum": 1})  # fmt: skip


def read_packages(text):
    package_manager_apt.parse_simulation(text)
    docker_remove.removed_by(text)
    docker_remove.also_changed_by(text)
    docker_remove.without_names(text, ["docker.io"])
    package_manager_dnf.parse_locks(text, text, ["containerd", "docker-ce"])
    package_manager_zypper.parse_locks(text, ["containerd"])


def read_zypper(text):
    package_manager_zypper.parse_transaction(text)
    package_manager_zypper.parse_search(text)


APT = """\
Reading package lists...
Inst containerd [1.4.13~ds1-1] (1.6.20~ds1-1+b1 Debian:12.0/stable [amd64]) []
Inst runc:amd64 (1.1.5+ds1-1+b1 Debian:12.0/stable [amd64])
Remv docker.io [20.10.24+dfsg1-1+b3]
Conf containerd (1.6.20~ds1-1+b1 Debian:12.0/stable [amd64])
"""
CTR_IMAGES = f"""\
REF TYPE DIGEST STATUS SIZE UNPACKED
k8s.gcr.io/pause:3.2 application/vnd.docker.distribution.manifest.v2+json sha256:{"0" * 64} complete (3/3) 1.2 MiB/1.2 MiB true
docker.io/library/web:1 application/vnd.docker.distribution.manifest.v2+json sha256:{"1" * 64} incomplete (3/7) 1.2 MiB/9.2 MiB false
"""
CTR_TASKS = "TASK      PID    STATUS    \nabc    852    RUNNING\ndef    0    STOPPED\n"
CTR_PLUGINS = "TYPE ID PLATFORMS STATUS\nio.containerd.grpc.v1 cri linux/amd64 ok\nio.containerd.snapshotter.v1 zfs linux/amd64 skip\n"
KERNEL = """\
22 1 254:1 / / rw - ext4 /dev/vda rw
40 31 0:60 / /var/lib/docker/overlay2/x\\040y/merged rw - overlay overlay rw,lowerdir=/x
Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0
docker0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0
"""
SOCKETS = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/docker.sock
0000000000000000: 00000003 00000000 00000000 0001 03 12346
"""


def read_etcd(text):
    """Answers of members as etcd.Client reads them: what is no JSON is an error's text."""
    try:
        answer = json.loads(text)
    except (RecursionError, ValueError):
        answer = {"error": text}
    answer = answer if isinstance(answer, dict) else {}
    for one in etcd_quorum.parse_members(answer):
        etcd_quorum.label(one)
        etcd._judged(one, {"health": "true", **answer}, answer)


ETCD = json.dumps({"header": {"cluster_id": "14841639068965178418", "member_id": "10276657743932975437"}, "members": [
    {"ID": "10276657743932975437", "name": "cp1", "peerURLs": ["https://10.0.0.1:2380"], "clientURLs": ["https://10.0.0.1:2379"]},
    {"ID": "12", "name": "", "isLearner": True}], "health": "true", "leader": "10276657743932975437", "version": "3.4.13", "errors": ["NOSPACE"]})  # fmt: skip
ETCD_YAML = "name: 'cp1'\nlisten-client-urls: \"https://127.0.0.1:2379,https://10.0.0.1:2379\"\ndata-dir: /var/lib/etcd # x\nclient-transport-security:\n  cert-file: /x\npeer-transport-security:\n  trusted-ca-file: /y\n"


def read_etcd_config(text):
    process = etcd.Process(1, {**dict.fromkeys(etcd.FLAGS, ""), **etcd.from_config_file(text)})
    etcd.serves(process, ["https://127.0.0.1:2379"])
    etcd.local_url(process)


class Connection:
    """A socket on which the other side says one thing and closes."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def sendall(self, data):
        pass

    def settimeout(self, seconds):
        pass

    def recv(self, count):
        return self.data.read(count)


def read_grpc(text):
    body = grpc_call._Exchange(Connection(latin(text)), grpc_call.time.monotonic() + 5, 5.0).unary("/x/y", b"")
    read_cri_message(body)


def read_cri(text):
    read_cri_message(latin(text))


def read_cri_message(body):
    """Every call of the CRI client, on one answer; it is of one kind, so the others may refuse it."""
    client = cri.Client("/x.sock")
    before, grpc_call.call = grpc_call.call, lambda *arguments: body
    refused = None
    try:
        for call in (client.version, client.status, client.image_names, client.pod_sandboxes, client.containers):
            try:
                call()
            except NodeError as error:
                refused = error
    finally:
        grpc_call.call = before
    return refused


def latin(text):
    """Bytes from a text of them; other characters as UTF-8."""
    return b"".join(one.encode("latin-1") if ord(one) < 256 else one.encode("utf-8", "surrogatepass") for one in text)


@cache
def cri_answer():
    field = protobuf_wire.field
    condition = field(1, "RuntimeReady") + field(2, True) + field(3, "") + field(4, "said")
    container = field(1, "c" * 64) + field(2, "p" * 64) + field(3, field(1, "web")) + field(6, 1)
    container += field(9, field(1, cri.GRACE_ANNOTATION) + field(2, "30"))
    return field(1, field(1, condition)) + field(1, container) + field(2, "containerd") + field(3, "1.6.20")


@cache
def grpc_answer():
    body = b"\0" + len(cri_answer()).to_bytes(4, "big") + cri_answer()
    frame = grpc_call.frame
    head = frame(
        grpc_call.HEADERS,
        grpc_call.END_HEADERS,
        1,
        grpc_call.encode_headers([(":status", "200"), ("content-type", "application/grpc")]),
    )
    tail = frame(
        grpc_call.HEADERS,
        grpc_call.END_HEADERS | grpc_call.END_STREAM,
        1,
        grpc_call.encode_headers([("grpc-status", "0"), ("grpc-message", "%C3%A4")]),
    )
    return (frame(grpc_call.SETTINGS, 0, 0, b"") + head + frame(grpc_call.DATA, 0, 1, body) + tail).decode("latin-1")


def read_node_journal(text):
    """journal.json on the node, read through the only door there is for files."""
    before, files.read_bytes = files.read_bytes, lambda path: raw(text)
    try:
        kept = journal.Journal.load("/nowhere")
        kept.by_hand()
        kept.content()
    finally:
        files.read_bytes = before


@cache
def node_journal():
    """A journal as the node's own code writes it."""
    with tempfile.TemporaryDirectory() as directory:
        kept = journal.Journal.load(directory + "/unshim")
        there = Path(directory, "flags")
        there.write_text("x")
        with kept.step("write", "switch", "undo it"):
            kept.remember_file(str(there), "kubelet", False, b"y")
            kept.remember_file(directory + "/new/file", "containerd_config", True, b"y")
        kept.remember_unit("docker.service", "active", "enabled")
        kept.remember_package("containerd", "", "1.6")
        kept.remember_annotation("a/b", None)
        kept.note("docker_stopped_foreign", ["a"])
        kept.set_state("drained")
        text = Path(kept.path).read_text()
        kept.unlock()
    return text


def read_key(text):
    docker_repository.fingerprint(latin(text))


def read_collector(text):
    """A part of the collector that cannot read something says so in its metrics: none hides another, or ends it all."""
    kept = collector.read, collector.processes, collector.PARTS
    collector.read, collector.processes, collector.PARTS = lambda path: text, dict, (collector.migration,)
    try:
        samples = collector.collect(argparse.Namespace(journal="/j"))
        assert [one.name for one in samples if one.name == "unshim_collector_part_success"]
        collector.docker_root(argparse.Namespace(daemon_json="/d"))
        collector.configured_endpoint(text)
    finally:
        collector.read, collector.processes, collector.PARTS = kept


LOCKS = (
    "containerd-0:1.6.20-1.el9.*\n!docker-ce-3:20*\n",
    '[[packages]]\nname = "containerd"\n',
    "type: package\nsolvable_name: containerd\n",
)
PACKET = b"\x99\x00\x0b\x04aaaabbbbcc"
BLOCK = "-----%s PGP PUBLIC KEY BLOCK-----\n"
KEYS = (
    PACKET.decode("latin-1"),
    f"{BLOCK % 'BEGIN'}\n{base64.b64encode(PACKET).decode()}\n=abcd\n{BLOCK % 'END'}",
)
ANSWER = f"aGkK\n{shell_command.RETURNED} 0\n{shell_command.ERRORS}\naGkK\n"


def read_answer(text):
    return shell_command.result(text.splitlines(), text.splitlines())


PARSERS = {
    "docker inspect": Parser(said(read_inspect), (INSPECTED,), mutations.as_json, (NodeError,)),
    "ctr": Parser(said(read_lists), (CTR_IMAGES, CTR_TASKS, CTR_PLUGINS, *texts("containerd/debian-12.toml"))),
    "a shell's answer to deploys/provision.py": Parser(said(read_answer), (ANSWER,), mutations.text, (shell_command.NoAnswer,)),
    "what the canary pod says": Parser(read_canary, ("9:memory:/kubepods/burstable/pod1/abc\n0::/\n", "67108864\n", "0::/system.slice/kubepods-pod1.slice:cri-containerd:abc\n")),
    "the kernel's tables": Parser(said(read_kernel), (KERNEL,)),
    "the kernel's sockets": Parser(said(docker_leftovers.listening), (SOCKETS,)),
    "iptables-save": Parser(said(docker_network.firewall_rules), (FIREWALL,)),
    "CNI cache": Parser(said(read_cni_cache), (PODS.cache_file(),), mutations.as_json, (NodeError,)),
    "CNI checkpoint": Parser(said(cni_delete.checkpointed_ports), (CHECKPOINT,), mutations.as_json),
    "CNI failure": Parser(said(lambda text: cni_delete.failure(text, text)), ('{"code": 7, "msg": "no", "details": "x"}',), mutations.as_json),
    "apt, and locks of dnf and zypper": Parser(said(read_packages), (APT, *LOCKS)),
    "dnf": Parser(said(package_manager_dnf.parse_transaction), texts("packages/dnf*.txt")),
    "zypper": Parser(said(read_zypper), texts("packages/zypper*.xml"), mutations.text, (NodeError,)),
    "etcd's answers": Parser(read_etcd, (ETCD,), mutations.as_json, (NodeError,)),
    "etcd's configuration": Parser(read_etcd_config, (ETCD_YAML,), mutations.text, (NodeError,)),
    "CRI messages": Parser(read_cri, (cri_answer().decode("latin-1"),)),
    "gRPC over HTTP/2": Parser(read_grpc, (grpc_answer(),), mutations.text, (grpc_call.CallFailed,)),
    "journal.json on the node": Parser(read_node_journal, (node_journal(),), mutations.as_json, (NodeError,)),
    "OpenPGP key": Parser(read_key, KEYS, mutations.text, (NodeError,)),
    "collector": Parser(read_collector, (*JOURNALS, DAEMON_JSON), mutations.as_json),
}  # fmt: skip
