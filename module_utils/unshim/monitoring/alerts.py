"""When to alert on a node that runs containerd, as a table; what each expression names is in the table of metrics.

``$threshold`` stands for the threshold, which a user may set. No expression joins what different targets serve, since the
label ``instance`` of a node's targets differs; ``node`` tells nodes apart whose agent reads them all as 127.0.0.1. Counters that begin with their first event (metrics.py) are never the only
ones asked, for their first event is no increase.

Sources: kubernetes-mixin (KubeletPlegDurationHigh), moby/moby#45378 (processes of Docker-in-Docker outside the pod's cgroup),
moby daemon/daemon.go (the fallback to vfs and native), kubelet pkg/util/flowcontrol (a pull is tried again after 10 s to
5 min, so a pod that cannot start makes three failures in 15 minutes).
"""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("critical", "warning", "info")
_CRI = 'job="containerd",grpc_service=~"runtime[.]v1(alpha2)?[.]'
_CHANGING = "RunPodSandbox|CreateContainer|StartContainer|StopContainer|StopPodSandbox|RemoveContainer|RemovePodSandbox"
_MOVED = 'unshim_migration_state{state=~"switched|verified|committed"} == 1'


@dataclass(frozen=True)
class Alert:
    name: str
    severity: str
    hold: str  # how long the expression must be true, as in Prometheus' "for"
    expression: str
    summary: str  # what is wrong, with Prometheus' templates
    remedy: str  # what to do
    threshold: float | None = None
    unit: str = ""  # of the threshold


ALERTS: tuple[Alert, ...] = (
    Alert(
        "ContainerdDown", "critical", "2m",
        'up{job="containerd"} == 0',
        "containerd's metrics on {{ $labels.instance }} cannot be read",
        "Look at `systemctl status containerd` on the node: pods go on, but none starts or stops without it.",
    ),
    Alert(
        "ContainerdRestarts", "warning", "0m",
        'changes(process_start_time_seconds{job="containerd"}[30m]) > $threshold',
        "containerd on {{ $labels.instance }} was started {{ $value }} times in half an hour",
        "Look at `journalctl -u containerd` for why it ends.",
        2, "starts",
    ),
    Alert(
        "CRIOperationsFail", "warning", "5m",
        f'sum by (instance, node, grpc_method) (increase(grpc_server_handled_total{{{_CRI}RuntimeService",'
        f'grpc_method=~"{_CHANGING}",grpc_code!~"OK|NotFound|Canceled"}}[15m])) > $threshold',
        "{{ $labels.grpc_method }} failed {{ $value | humanize }} times in 15 minutes on {{ $labels.instance }}",
        "Look at `journalctl -u containerd` and at the events of the node's pods.",
        3, "failures in 15 minutes",
    ),
    Alert(
        "ImagePullsFail", "warning", "5m",
        'sum by (instance, node) (increase(containerd_cri_image_pulls_total{status="failure"}[15m])) > $threshold'
        ' or sum by (instance, node) (increase(containerd_cri_sandboxed_image_pulls_total{status="failure"}[15m])) > $threshold'
        f' or sum by (instance, node) (increase(grpc_server_handled_total{{{_CRI}ImageService",grpc_method="PullImage",'
        'grpc_code!~"OK|Canceled"}[15m])) > $threshold',
        "{{ $value | humanize }} image pulls failed in 15 minutes on {{ $labels.instance }}",
        "Look at the events of pods that wait for their image: a name, a registry, a login, or /etc/containerd/certs.d.",
        2, "failures in 15 minutes",
    ),
    Alert(
        "PodNetworkFails", "warning", "5m",
        "sum by (instance, node, operation_type) "
        "(increase(containerd_cri_network_plugin_operations_errors_total_total[15m])) > $threshold",
        "CNI failed {{ $value | humanize }} times in 15 minutes on {{ $labels.instance }} ({{ $labels.operation_type }})",
        "See that /etc/cni/net.d has the network's configuration and that its plugins are in containerd's bin_dir.",
        2, "failures in 15 minutes",
    ),
    Alert(
        "PodNetworkSlow", "warning", "10m",
        "histogram_quantile(0.9, sum by (instance, node, le) "
        "(rate(containerd_cri_sandbox_create_network_seconds_bucket[10m]))) > $threshold"
        " or histogram_quantile(0.9, sum by (instance, node, le) "
        '(rate(containerd_cri_network_plugin_operations_duration_seconds_seconds_bucket{operation_type="set_up_pod"}[10m])))'
        " > $threshold",
        "One pod in ten waits {{ $value | humanizeDuration }} or longer for its network on {{ $labels.instance }}",
        "Look at the network add-on's pod on the node.",
        5, "seconds",
    ),
    Alert(
        "ContainerEventsDropped", "warning", "0m",
        "increase(containerd_cri_container_events_dropped_total[15m]) > $threshold",
        "containerd on {{ $labels.instance }} dropped {{ $value | humanize }} events of containers",
        "The kubelet reads events too slowly; what it missed it finds when it lists the pods. Look at the node's load.",
        0, "events",
    ),
    Alert(
        "ContainerdGarbageCollectionFails", "warning", "1h",
        'sum by (instance, node) (increase(containerd_gc_collections_total{status="fail"}[1h])) > $threshold',
        "{{ $value | humanize }} garbage collections failed within an hour on {{ $labels.instance }}",
        "Look at `journalctl -u containerd`; the disk of /var/lib/containerd fills up otherwise.",
        1, "failures in an hour",
    ),
    Alert(
        "ContainerdDiskFull", "critical", "10m",
        "unshim_containerd_filesystem_avail_bytes / unshim_containerd_filesystem_size_bytes < $threshold",
        "The disk of containerd's data on {{ $labels.instance }} has {{ $value | humanizePercentage }} left",
        "Docker's data may still be there (DockerDataLeft): `commit.yml` removes it if told to. Else remove images.",
        0.1, "of the disk",
    ),
    Alert(
        "KubeletRuntimeErrors", "warning", "15m",
        "sum by (instance, node, operation_type) (rate(kubelet_runtime_operations_errors_total[10m]))"
        " / sum by (instance, node, operation_type) (rate(kubelet_runtime_operations_total[10m])) > $threshold",
        "{{ $value | humanizePercentage }} of {{ $labels.operation_type }} fail for the kubelet on {{ $labels.instance }}",
        "Look at `journalctl -u kubelet -u containerd`.",
        0.1, "of the operations",
    ),
    Alert(
        "KubeletPlegSlow", "warning", "5m",
        "histogram_quantile(0.99, sum by (instance, node, le) (rate(kubelet_pleg_relist_duration_seconds_bucket[5m]))) > $threshold",
        "The kubelet on {{ $labels.instance }} needs {{ $value | humanizeDuration }} to list its pods",
        "The runtime or the node is overloaded; above three minutes the node is NotReady.",
        10, "seconds",
    ),
    Alert(
        "DockerStillRunning", "warning", "15m",
        "unshim_docker_active == 1 and on (instance, node) "
        f'(unshim_kubelet_runtime_info{{runtime="containerd"}} or {_MOVED})',
        "Docker runs on {{ $labels.instance }}, whose kubelet uses containerd",
        "Find who uses it (`docker ps`, `playbooks/scan.yml`), then `systemctl disable --now docker.socket docker.service`.",
    ),
    Alert(
        "DockerDataLeft", "info", "7d",
        "unshim_docker_data_bytes > $threshold and on (instance, node) "
        'unshim_migration_state{state=~"verified|committed"} == 1',
        "{{ $value | humanize1024 }}B of Docker's are left on {{ $labels.instance }}, which nobody cleans up",
        "`playbooks/commit.yml -e unshim_delete_docker_data=true` removes it; there is no way back then.",
        1e9, "bytes",
    ),
    Alert(
        "MigrationHalfWay", "warning", "1h",
        'unshim_migration_state{state=~"drained|switched"} == 1',
        "The move of {{ $labels.instance }} stopped half-way ({{ $labels.state }})",
        "Run `playbooks/migrate.yml` again, which goes on, or `playbooks/rollback.yml`.",
    ),
    Alert(
        "FleetHasTwoRuntimes", "info", "14d",
        'count(unshim_kubelet_runtime_info{runtime=~"docker|cri-dockerd"}) > 0'
        ' and count(unshim_kubelet_runtime_info{runtime="containerd"}) > 0',
        "{{ $value }} nodes are still on Docker",
        "Run `playbooks/migrate.yml`, or `playbooks/report.yml` to see what stands in the way.",
    ),
    Alert(
        "DindDown", "warning", "5m",
        "unshim_dind_up == 0",
        "Docker in {{ $labels.dind }} on {{ $labels.instance }} does not answer",
        "Look at the log of that container or unit; builds that use it wait.",
    ),
    Alert(
        "DindStorageDriverSlow", "warning", "15m",
        'unshim_dind_info{driver=~"vfs|native"} == 1',
        "Docker in {{ $labels.dind }} on {{ $labels.instance }} copies whole images ({{ $labels.driver }})",
        "Give it a volume on /var/lib/docker that is no overlay itself, and name its storage driver.",
    ),
    Alert(
        "DindCgroupEscape", "warning", "10m",
        "unshim_dind_escaped_processes > $threshold",
        "{{ $value }} processes of Docker in {{ $labels.dind }} on {{ $labels.instance }} have no limit of the pod's",
        "Its containers' cgroups are at the node's root: set dockerd's cgroup parent inside the pod's own cgroup.",
        0, "processes",
    ),
    Alert(
        "DindDiskFull", "warning", "10m",
        "unshim_dind_filesystem_avail_bytes / unshim_dind_filesystem_size_bytes < $threshold",
        "The disk of Docker in {{ $labels.dind }} on {{ $labels.instance }} has {{ $value | humanizePercentage }} left",
        "Remove images and build caches there (`docker system prune`), or give it more.",
        0.1, "of the disk",
    ),
    Alert(
        "CollectorStale", "warning", "10m",
        "time() - unshim_collector_run_timestamp_seconds > $threshold or unshim_collector_part_success == 0",
        "unshim's collector on {{ $labels.instance }} does not tell all there is to tell",
        "Look at `journalctl -u unshim-collector`: what alerts on Docker and DIND may be old.",
        900, "seconds",
    ),
)  # fmt: skip
BY_NAME = {alert.name: alert for alert in ALERTS}
