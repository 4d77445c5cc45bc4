"""Every check there is. ``docs/compatibility.md`` is made from it."""

from __future__ import annotations

from collections.abc import Mapping

from . import judge_containers as containers
from . import judge_images as images
from . import judge_lifecycle as lifecycle
from . import judge_network as network
from . import judge_node as node
from . import judge_volumes as volumes
from .model import Check

OWN_TESTS = "tests/carry_over/on_containerd/test_settings_at_work.py"

NODE = (
    Check("C01", "The runtime answers over the CRI, ready and with a network",
          "the kubelet's own dockershim becomes a service; containerd may have its CRI plugin disabled",
          "docker/containerd-packaging common/containerd.toml; containerd#14121", node.cri, quick=True),
    Check("C04", "containerd takes all of its settings",
          "a key of another schema is ignored with a line in the log only", "containerd cmd/containerd/server/config", node.complaints, quick=True),
    Check("C05", "containerd's metrics are not open to the network",
          "Docker had metrics-addr; containerd's endpoint asks for no login", "containerd docs/ops.md", node.metrics_address, quick=True),
    Check("C06", "containerd's socket is root's", "who may use it is root, as with Docker's group docker",
          "containerd docs/ops.md", node.sockets, quick=True),
    Check("C07", "Kernel modules and sysctls that pods need are set", "dockerd set them at each start",
          "kubernetes.io container-runtimes; kubernetes/website#36336", node.kernel, quick=True),
    Check("C08", "Nothing of Docker's network is left", "its chains, bridge and FORWARD policy outlive it",
          "kubernetes#72370, kubernetes#108718", node.docker_network, quick=True),
    Check("C09", "No directory is where Docker's socket was", "a hostPath without a type makes one",
          "kubernetes.io volumes, hostPath; jenkinsci/helm-charts#591", node.docker_socket, quick=True),
    Check("C10", "Docker is down and stays down", "docker.socket starts it at the first connection; two runtimes fight for disk and cgroups",
          "systemd.socket(5)", node.docker_down, quick=True),
    Check("C26", "Pulls go through the proxy they went through", "containerd has the proxy of its own unit, not of Docker's",
          "containerd docs/cri/config.md; docs.docker.com daemon/proxy", node.proxies, quick=True),
    Check("C33", "A restart of containerd leaves containers running", "Docker needed live-restore for that",
          "containerd.service; docs.docker.com live-restore", node.outlives_restart, quick=True),
    Check("C34", "The node would come back from a reboot on containerd", "what only runs now is gone then",
          "kubernetes/website#36336", node.reboot, quick=True),
    Check("C35", "Every runtime of Docker's is there for RuntimeClasses", "containerd has a table of its own",
          "containerd docs/cri/config.md", node.handlers, quick=True),
    Check("C39", "The cluster shows the runtime the node has", "dashboards and scripts read containerRuntimeVersion",
          "kubernetes.io API reference, NodeSystemInfo", node.shown_runtime, quick=True),
    Check("C56", "Every plugin the network's configuration names is where containerd looks",
          "containerd has plugin directories of its own (Debian: /usr/lib/cni), and calls loopback itself",
          "containerd docs/cri/config.md; Debian's containerd package", node.cni_plugins, quick=True),
)  # fmt: skip
CONTAINERS = (
    Check("C02", "A container is in its pod's cgroup", "kubelet and runtime may use different cgroup drivers",
          "kubernetes#111776, containerd#7276", containers.cgroup),
    Check("C11", "A container has the limits it had", "they come from containerd's unit, which has no LimitNOFILE from 2.0 on",
          "containerd docs/containerd-2.0.md; moby#51485", containers.limits),
    Check("C12", "A container has the capabilities it had, NET_RAW among them", "the defaults are the same list; settings may cut it",
          "containerd pkg/oci/spec.go; moby oci/caps/defaults.go", containers.capabilities),
    Check("C13", "RuntimeDefault filters system calls, the default is as before", "Docker and containerd have profiles of their own",
          "containerd contrib/seccomp/seccomp_default.go", containers.seccomp),
    Check("C14", "A container is confined by AppArmor as before", "docker-default becomes cri-containerd.apparmor.d",
          "containerd contrib/apparmor", containers.apparmor),
    Check("C15", "Who is not root may listen below 1024 and ping, as before",
          "Docker allows it from 20.10 on, containerd 1.x only if told, 2.x by default",
          "moby daemon/oci_linux.go; containerd docs/containerd-2.0.md", containers.unprivileged),
    Check("C42", "What containers must not see of /proc and /sys is covered", "the list comes from the kubelet instead of Docker",
          "kubernetes pkg/securitycontext/util.go; moby oci/defaults.go", containers.hidden_paths),
    Check("C43", "runAsUser, dropped capabilities and allowPrivilegeEscalation hold", "they travel over the CRI instead of Docker's API",
          "kubernetes cri-api, LinuxContainerSecurityContext", containers.restricted_user),
    Check("C44", "/dev/shm has the size it had", "Docker's default-shm-size ends with Docker", "moby daemon/config; containerd internal/cri/server/sandbox_run_linux.go", containers.shared_memory),
    Check("C45", "The environment has the names it had", "PATH, HOSTNAME and HOME are the runtime's to set", "containerd internal/cri/server/container_create.go", containers.environment),
    Check("C46", "Hostname and /etc/hosts are the pod's", "the sandbox sets them", "kubernetes pkg/kubelet/kubelet_pods.go", containers.names),
    Check("C47", "Process 1 is the container's own command", "Docker's setting init puts docker-init before it, containerd has no such setting",
          "docs.docker.com dockerd, init", containers.first_process),
    Check("C48", "A pod's sysctls are set", "they travel over the CRI", "kubernetes.io sysctl-cluster", containers.pod_sysctls),
    Check("C49", "A container that takes too much memory is killed", "the limit is set by another runtime, perhaps in another cgroup",
          "kubernetes.io assign-memory-resource", containers.memory_limit),
)  # fmt: skip
VOLUMES = (
    Check("C17", "Mounts propagate as asked", "Docker's default was rprivate, too, but set elsewhere",
          "kubernetes.io volumes, mount propagation", volumes.propagation),
    Check("C19", "subPath and readOnly hold", "mounts are made by containerd", "kubernetes.io volumes", volumes.sub_path),
    Check("C50", "An init container hands its files over", "order and volumes are the runtime's", "kubernetes.io init-containers", volumes.handed_over),
)  # fmt: skip
NETWORK = (
    Check("C23", "resolv.conf is the pod's, and names resolve", "the sandbox brings it; Docker rewrote loopback resolvers",
          "kubernetes.io dns-pod-service", network.resolver),
    Check("C24", "A hostPort answers, loopback is up", "dockershim forwarded ports itself; containerd needs portmap, and calls loopback",
          "containerd docs/cri/config.md; kubernetes pkg/kubelet/dockershim/network", network.host_port),
    Check("C25", "A pod's interface has the MTU it had", "a daemon that computed it may have read Docker's", "projectcalico/calico#2334", network.mtu),
    Check("C41", "A pod starts, with an address of the cluster's network", "containerd takes the first file in its own CNI directory",
          "containerd docs/cri/config.md", network.started),
    Check("C54", "A pod in the node's network sees it", "the sandbox asks for it over the CRI", "kubernetes cri-api, NamespaceOption", network.host_network),
    Check("C55", "IPv6 in a pod is as before", "Docker turns IPv6 off where a network has none; containerd does not",
          "moby libnetwork/osl; containerd internal/cri", network.ipv6),
)  # fmt: skip
LIFECYCLE = (
    Check("C20", "Logs come back whole, in the format agents are told of", "Docker's JSON becomes the CRI's text, in another file; both cut lines at 16 KiB",
          "kubernetes design-proposals kubelet-cri-logging", lifecycle.log),
    Check("C21", "timeoutSeconds of an exec probe is enforced", "dockershim ignored it before Kubernetes 1.20",
          "kubernetes.io configure-probes, ExecProbeTimeout", lifecycle.probe_timeout),
    Check("C22", "exec gives exit code, stdout and stderr apart", "it streams through containerd", "kubernetes cri-api, Exec", lifecycle.exec_streams),
    Check("C38", "cAdvisor has the pod's series", "it reads containerd instead of Docker; container_fs_* may be missing",
          "kubernetes/website#30681, cadvisor#2666", lifecycle.metrics),
    Check("C51", "Exit code, reason and termination message come back", "they are read from containerd's events", "kubernetes.io determine-reason-pod-failure", lifecycle.last_words),
    Check("C52", "A deleted pod gets SIGTERM and ends early", "the signal goes through the shim to process 1", "kubernetes.io pod-lifecycle", lifecycle.stop_signal),
    Check("C53", "tty and stdin give a terminal", "TERM is the runtime's to set", "kubernetes cri-api, ContainerConfig", lifecycle.terminal),
)  # fmt: skip
IMAGES = (
    Check("C03", "The sandbox image is on the node", "containerd asks for its own sandbox_image, not for the kubelet's flag",
          "containerd docs/cri/config.md", images.sandbox, quick=True),
    Check("C27", "Images are pulled from every registry named", "mirrors, private CAs and plain registries are in hosts.toml; a setting that is ignored shows here only",
          "containerd docs/hosts.md; containerd#12636", images.pulls),
    Check("C30", "An image is pulled by digest", "the digest is of what the registry serves, not of what Docker kept", "containerd docs/cri/registry.md", images.by_digest),
    Check("C31", "Kubernetes' images are in containerd's namespace k8s.io, its containers not Docker's", "docker ps and docker images show nothing of them",
          "kubernetes.io migrating-from-dockershim", images.namespace, quick=True),
    Check("C32", "The sandbox image is pinned", "the kubelet's image garbage collection deletes what no container uses", "containerd docs/cri/architecture.md, pinned images", images.pinned, quick=True),
)  # fmt: skip
ELSEWHERE = (
    Check("C16", "Data in an image's VOLUME", "containerd makes it below its own state directory", "containerd internal/cri/server/container_create.go",
          elsewhere="needs an image that declares one"),
    Check("C18", "Recursive read-only mounts", "new with CRI v1 and kubelet 1.30", "kubernetes.io volumes", elsewhere="needs kubelet 1.30"),
    Check("C28", "Pulls with a login", "the kubelet hands it over with each pull", "kubernetes.io pull-image-private-registry",
          elsewhere=f"C27 pulls an image of such a registry if unshim_compat_images names one; shown in the lab by {OWN_TESTS}"),
    Check("C29", "A manifest of schema 1 is refused in clear words", "containerd 2.1 cannot read it", "containerd docs/containerd-2.0.md",
          elsewhere="rule schema1-image of scan.yml finds such images before the move"),
    Check("C36", "User namespaces of pods", "Docker had userns-remap for all", "kubernetes.io user-namespaces", elsewhere="needs containerd 2.0, kernel 6.3; userns-remap blocks a move"),
    Check("C37", "GPU runtimes", "a runtime's table that is replaced loses nvidia's", "NVIDIA container toolkit install guide", elsewhere="C35 compares the runtimes' names; needs a GPU"),
    Check("C40", "Docker-in-Docker", "dockerd leaves its pod's cgroup, MTU and iptables differ", "moby#45378", elsewhere="needs a workload that brings Docker"),
    Check("C57", "Logs are rotated as before", "Docker's log-opts end, the kubelet's containerLogMaxSize begins", "kubernetes.io logging",
          elsewhere=f"takes more lines than a check may write; shown in the lab by {OWN_TESTS}"),
)  # fmt: skip

#: By the heading that reports and docs/compatibility.md give them.
GROUPS: Mapping[str, tuple[Check, ...]] = {
    "Node": NODE,
    "Containers": CONTAINERS,
    "Volumes": VOLUMES,
    "Network": NETWORK,
    "Running and ending": LIFECYCLE,
    "Images": IMAGES,
    "Shown elsewhere": ELSEWHERE,
}
CHECKS: tuple[Check, ...] = tuple(check for group in GROUPS.values() for check in group)
BY_ID: Mapping[str, Check] = {check.id: check for check in CHECKS}
