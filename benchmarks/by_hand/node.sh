#!/bin/sh
# What an administrator would write for one node, run on it as root: the yardstick of the lab's benchmarks. It does the work
# that cannot be left out, in the order that costs least time, and proves nothing.
#   node.sh prepare          containerd configured and restarted, images brought over; pods keep running on Docker
#   node.sh images [NAME...] the images alone, all that have a name if none is given
#   node.sh switch           kubelet stopped, Docker stopped and masked, kubelet started on containerd
#   node.sh back             the reverse of switch and of prepare; the images stay in containerd
set -eu

CONFIG=/etc/containerd/config.toml
FLAGS=/var/lib/kubelet/kubeadm-flags.env
KUBELET_CONFIG=/var/lib/kubelet/config.yaml
KEPT=/root/by-hand
SOCKET=unix:///run/containerd/containerd.sock

# The first copy is the original, whatever runs twice.
keep() {
    mkdir -p "$KEPT"
    [ -e "$KEPT/$(basename "$1")" ] || cp -a "$1" "$KEPT/"
}

put_back() {
    if [ -e "$KEPT/$(basename "$1")" ]; then cp -a "$KEPT/$(basename "$1")" "$1"; fi
}

prepare() {
    sandbox=$(sed -n 's/.*--pod-infra-container-image=\([^ "]*\).*/\1/p' "$FLAGS")
    runtime=$(docker info --format '{{(index .Runtimes .DefaultRuntime).Path}}')
    [ "$(docker info --format '{{.CgroupDriver}}')" = systemd ] && systemd_cgroup=true || systemd_cgroup=false
    insecure=$(docker info --format '{{range $name, $index := .RegistryConfig.IndexConfigs}}{{if not $index.Secure}}{{$name}} {{end}}{{end}}')
    for registry in $insecure; do
        mkdir -p "/etc/containerd/certs.d/$registry"
        printf 'server = "http://%s"\n' "$registry" >"/etc/containerd/certs.d/$registry/hosts.toml"
    done
    keep "$CONFIG"
    restrict=$(grep -o 'restrict_oom_score_adj = true' "$CONFIG" || true)
    cat >"$CONFIG" <<TOML
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$sandbox"
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  $restrict
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
  conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "$runtime"
  SystemdCgroup = $systemd_cgroup
TOML
    systemctl restart containerd
    images
}

# What is there already goes over again: neither program asks.
images() {
    # shellcheck disable=SC2046  # a name has no blanks
    [ $# -gt 0 ] || set -- $(docker images --format '{{.Repository}}:{{.Tag}}' | grep -v '<none>')
    docker save "$@" | ctr -n k8s.io images import - >/dev/null
}

switch() {
    keep "$FLAGS"
    keep "$KUBELET_CONFIG"
    systemctl stop kubelet
    running=$(docker ps --quiet)
    # shellcheck disable=SC2086  # one word each
    [ -z "$running" ] || docker stop $running >/dev/null
    systemctl stop docker.socket docker.service
    systemctl mask --quiet docker.socket docker.service
    sed -i "s|--network-plugin=cni|--container-runtime=remote --container-runtime-endpoint=$SOCKET|" "$FLAGS"
    printf 'containerLogMaxSize: 10M\ncontainerLogMaxFiles: 3\n' >>"$KUBELET_CONFIG"
    systemctl start kubelet
}

back() {
    systemctl stop kubelet
    # containerd takes sandboxes of the same pod along, which is no failure.
    ctr -n k8s.io tasks ls --quiet | xargs -r ctr -n k8s.io tasks rm --force >/dev/null 2>&1 || true
    put_back "$FLAGS"
    put_back "$KUBELET_CONFIG"
    put_back "$CONFIG"
    rm -rf "$KEPT" /etc/containerd/certs.d
    systemctl restart containerd
    systemctl unmask --quiet docker.socket docker.service
    systemctl start docker.socket docker.service
    systemctl start kubelet
}

"$@"
