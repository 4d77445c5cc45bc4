"""A node as it is seen on Docker and, moved well, on containerd; the texts are as the kernel and the kubelet write them."""

import json

from unshim.node_compat.model import Observed

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max processes             unlimited            unlimited            processes
Max open files            {}              {}              files
Max locked memory         65536                65536                bytes
"""
STATUS = """\
Name:\tcat
Uid:\t0\t0\t0\t0
CapInh:\t0000000000000000
CapEff:\t{eff}
CapBnd:\t{bnd}
NoNewPrivs:\t{nnp}
Seccomp:\t{seccomp}
"""
DEFAULT = "00000000a80425fb"
NOTHING = "0000000000000000"
MOUNTS = """\
620 543 0:53 / / rw,relatime - overlay overlay rw,lowerdir=/l
621 620 0:55 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
622 620 0:57 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k
623 620 8:1 /v/data /data rw,relatime - ext4 /dev/sda1 rw
624 620 8:1 /v/data /received rw,relatime master:1 - ext4 /dev/sda1 rw
625 621 0:55 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw
626 621 0:56 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw,size=65536k
627 621 0:60 / /proc/scsi ro,relatime - tmpfs tmpfs ro
"""
RESOLVER = "nameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local\noptions ndots:3\n"
METRICS = "container_cpu_usage_seconds_total\ncontainer_memory_working_set_bytes\nimage registry/busybox:1"
CRI = "2026-11-26T02:30:00.123456789Z stdout {} x"
IMAGE = "registry/busybox:1"


def sysctls(port_start, ipv6_off):
    return (
        f"net.ipv4.ip_unprivileged_port_start {port_start}\nnet.ipv4.ping_group_range 1\t0\n"
        f"net.ipv4.ip_local_port_range 20000\t30000\n"
        f"net.ipv6.conf.all.disable_ipv6 {ipv6_off}\nnet.ipv6.conf.lo.disable_ipv6 {ipv6_off}"
    )


SHARED = {
    "node.sysctls": "net.bridge.bridge-nf-call-ip6tables 1\nnet.bridge.bridge-nf-call-iptables 1\nnet.ipv4.ip_forward 1",
    "node.modules": "br_netfilter overlay",
    "node.hostname": "worker-1",
    "node.name": "worker-1",
    "node.internal-address": "10.213.0.11",
    "pod.name": "unshim-compat-1",
    "pod.token": "unshim-token-1",
    "pod.start": "running",
    "pod.address": "10.244.1.7",
    "pod.address-gate": "passed 10.244.1.7 is in the node's podCIDR 10.244.1.0/24",
    "pod.ends": "7 Error said before the end",
    "pod.greedy": "137 OOMKilled",
    "pod.slow": "not ready; the kubelet says Unhealthy: Readiness probe failed",
    "pod.exec": "exit code 7, stdout 'out', stderr 'err'",
    "pod.resolved": "nslookup resolved kubernetes.default.svc.cluster.local.",
    "pod.log": json.dumps({"longest": 20000, "stdout": True, "stderr": True}),
    "pod.log-link": "/var/log/containers/unshim-compat-1_default_plain-0.log",
    "pod.console": "in\r\nout\r\nTERM=xterm\r\n",
    "pod.metrics": METRICS,
    "pod.deleted": "1.4 plain=0 slow=0 user=0",
    "plain.limits": LIMITS.format(1048576, 1048576),
    "plain.status": STATUS.format(eff=DEFAULT, bnd=DEFAULT, nnp=0, seccomp=0),
    "plain.mounts": MOUNTS,
    "plain.to-hide": "/proc/kcore\n/proc/scsi",
    "plain.first-process": "/bin/sh -c trap 'exit 0' TERM",
    "plain.hostname": "unshim-compat-1",
    "plain.hosts": "127.0.0.1 localhost\n10.244.1.7\tunshim-compat-1\n192.0.2.7\tcompat.unshim.invalid\n",
    "plain.resolver": RESOLVER,
    "plain.variables": "HOME\nHOSTNAME\nKUBERNETES_SERVICE_HOST\nPATH\nUNSHIM_COMPAT_VALUE\nWEB_PORT_80_TCP",
    "plain.value": "made of unshim-token-1",
    "plain.interfaces": "eth0 1450 0x1003\nlo 65536 0x9",
    "plain.identity": "0 0 0 10",
    "plain.volumes": "from-init made of unshim-token-1\nsub-path yes\nread-only refused",
    "user.status": STATUS.format(eff=NOTHING, bnd=NOTHING, nnp=1, seccomp=2),
    "user.identity": "65534 65534 65534",
    "host.host-port": "answered at 10.213.0.11 port 20123",
    "host.pod-port": "answered at 10.244.1.7 port 8099",
    "host.hostname": "worker-1",
    "host.interfaces": "cni0 1450 0x1003\neth0 1500 0x1003\nlo 65536 0x9",
    "pull.images": f"pulled {IMAGE}",
    "pull.digest": f"pulled registry/busybox@sha256:{'0' * 64}",
    "pull.reference": f"registry/busybox@sha256:{'0' * 64}",
}
DOCKER = {
    **SHARED,
    "node.docker": "running",
    "node.docker-runtimes": "io.containerd.runc.v2 kata runc",
    "node.docker-images": IMAGE,
    "node.shown-runtime": "docker://20.10.24",
    "node.proxies-docker": "HTTPS_PROXY\nno_proxy",
    "node.proxies-containerd": "",
    "pod.log-file": "/var/lib/docker/containers/0/0-json.log",
    "pod.log-lines": '{"log":"xxxx\n{"log":"unshim-token-1 on stdout',
    "plain.cgroup": "12:memory:/kubepods/besteffort/pod1/abc",
    "plain.apparmor": "docker-default (enforce)",
    "plain.sysctls": sysctls(0, 1),
}
CONTAINERD = {
    **SHARED,
    "node.docker": "installed",
    "node.reboot-problems": "",
    "node.moby-tasks": "0",
    "node.cri-plugin": "ok",
    "node.cri": "v1 containerd 1.6.20 NetworkReady=true RuntimeReady=true",
    "node.images": f"{IMAGE}\nk8s.gcr.io/pause:3.2",
    "node.sandbox-image": "k8s.gcr.io/pause:3.2",
    "node.pinned": "k8s.gcr.io/pause:3.2",
    "node.kill-mode": "process",
    "node.shown-runtime": "containerd://1.6.20",
    "node.proxies-docker": "",
    "node.proxies-containerd": "HTTPS_PROXY\nNO_PROXY",
    "node.complaints": "",
    "node.metrics-address": "127.0.0.1:1338",
    "node.runtimes": "kata runc",
    "node.cni-directories": "/opt/cni/bin /etc/cni/net.d",
    "node.cni-network": "/etc/cni/net.d/10-x.conflist bridge host-local portmap",
    "node.cni-plugins": "/opt/cni/bin/bridge\n/opt/cni/bin/host-local\n/opt/cni/bin/loopback\n/opt/cni/bin/portmap",
    "node.forward-policy": "-P FORWARD ACCEPT",
    "node.docker-chains": "",
    "node.docker-links": "",
    "node.entries": "711 root:root directory /run/containerd\n660 root:root socket /run/containerd/containerd.sock",
    "pod.log-file": "/var/log/pods/default_unshim-compat-1_u/plain/0.log",
    "pod.log-lines": CRI.format("P") + "\n" + CRI.format("F"),
    "plain.cgroup": "12:memory:/kubepods/besteffort/pod1/def",
    "plain.apparmor": "cri-containerd.apparmor.d (enforce)",
    "plain.sysctls": sysctls(1024, 0),
}


def on_docker(**changed):
    return Observed("docker", {**DOCKER, **changed})


def on_containerd(changed=None, lost=(), reasons=None):
    values = {**CONTAINERD, **(changed or {})}
    return Observed("containerd", {key: value for key, value in values.items() if key not in lost}, reasons or {})
