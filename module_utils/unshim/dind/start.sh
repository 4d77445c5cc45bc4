#!/bin/sh
# start.sh run | ready | wait: starts dockerd in a container with what only the container itself can know, tells if it answers,
# or waits until it does. For /bin/sh of Debian and of BusyBox. Settings that do not depend on the place are in daemon.json.
#   DIND_IPTABLES       nft, legacy, or auto: whichever works
#   DIND_MTU            0: that of the interface the default route goes out by
#   DIND_GROUP          group of the socket, a number
#   DIND_TLS            directory of ca.pem, cert.pem and key.pem; with it dockerd also listens on port 2376, with clients' certificates
#   DIND_ENDS_WITH_JOB  1: end once the job has made the file job-ended beside the socket
#   DIND_WAIT           seconds that `wait` waits
# shellcheck disable=SC3045  # ulimit -H and -n: dash and ash have both
set -eu

here=${DIND_CONFIG:-/etc/dind}
sockets=${DIND_SOCKETS:-/run/dind}
data=/var/lib/docker
# Where a test has its own.
cgroups=${DIND_CGROUPS:-/sys/fs/cgroup}
proc=${DIND_PROC:-/proc}

say() { echo "start.sh: $*" >&2; }
die() {
    say "$*"
    exit 1
}

# Whether something of its own is mounted on a directory.
mounted() { awk -v at="$1" '$5 == at { found = 1 } END { exit !found }' "$proc/self/mountinfo"; }

# The interface of the default route has what fits through the pod network.
pod_mtu() {
    interface=$(awk '$2 == "00000000" && $8 == "00000000" { print $1; exit }' "$proc/net/route")
    if [ -n "$interface" ]; then cat "${DIND_NET:-/sys/class/net}/$interface/mtu"; fi
}

# The path of this container's cgroup below what is mounted here, "" if that is all that is mounted. A container that is
# privileged sees the whole machine's with cgroup v2 (moby/moby#45378), and its own part with v1 or a cgroup namespace.
own_cgroup() {
    if [ -e "$cgroups/cgroup.controllers" ]; then
        at=$cgroups
        own=$(sed -n 's/^0:://p' "$proc/self/cgroup")
    else
        at=$cgroups/memory
        own=$(awk -F: '$2 ~ /(^|,)memory(,|$)/ { print $3 }' "$proc/self/cgroup")
    fi
    root=$(awk -v at="$at" '$5 == at { root = $4 } END { print root }' "$proc/self/mountinfo")
    own=${own%/} root=${root%/}
    case $own in
        "$root" | "$root"/*) echo "${own#"$root"}" ;;
        *) echo "" ;;
    esac
}

# With cgroup v2 a group has processes or groups with controllers, never both: ours go into a group of their own.
delegate() {
    group=$cgroups$1
    if [ ! -e "$group/cgroup.controllers" ]; then return 0; fi
    mkdir -p "$group/dind-init"
    tries=0
    # A probe may start between the two steps.
    until
        while read -r pid; do echo "$pid" >"$group/dind-init/cgroup.procs" 2>/dev/null || true; done <"$group/cgroup.procs"
        sed -e 's/[^ ]*/+&/g' "$group/cgroup.controllers" >"$group/cgroup.subtree_control" 2>/dev/null
    do
        tries=$((tries + 1))
        if [ "$tries" -ge 20 ]; then die "the controllers of $group cannot be given to dockerd's containers"; fi
        sleep 0.1
    done
}

iptables_works() {
    command -v "iptables-$1" >/dev/null 2>&1 || return 1
    "iptables-$1" -w -t nat -N UNSHIM-TRY 2>/dev/null || return 1
    works=0
    "iptables-$1" -w -t nat -A UNSHIM-TRY -m addrtype --dst-type LOCAL -j RETURN 2>/dev/null || works=1
    "iptables-$1" -w -t nat -F UNSHIM-TRY
    "iptables-$1" -w -t nat -X UNSHIM-TRY
    return $works
}

# dockerd takes the iptables that comes first on PATH.
choose_iptables() {
    flavour=${DIND_IPTABLES:-auto}
    if [ "$flavour" = auto ]; then
        flavour=
        for one in nft legacy; do
            if iptables_works "$one"; then
                flavour=$one
                break
            fi
        done
    fi
    if [ -z "$flavour" ]; then
        say "neither iptables-nft nor iptables-legacy works here; dockerd takes the iptables of the image"
        return 0
    fi
    links=/run/dind-iptables
    mkdir -p "$links"
    for tool in iptables ip6tables; do
        for action in "" -save -restore; do
            program=$(command -v "$tool-$flavour$action") || continue
            ln -sf "$program" "$links/$tool$action"
        done
    done
    PATH=$links:$PATH
    export PATH
    say "iptables-$flavour"
}

# The nofile limit of containers: what most images were made for, and no more than this container may have itself.
nofile() {
    hard=$(ulimit -Hn)
    if [ "$hard" = unlimited ] || [ "$hard" -gt 1048576 ]; then hard=1048576; fi
    soft=65536
    if [ "$hard" -lt "$soft" ]; then soft=$hard; fi
    echo "$soft:$hard"
}

knows() { dockerd --help 2>&1 | grep -q -e "--$1 "; }

arguments() {
    mtu=${DIND_MTU:-0}
    if [ "$mtu" = 0 ]; then mtu=$(pod_mtu); fi
    if [ -n "$mtu" ]; then
        echo "--mtu=$mtu"
        if knows default-network-opt; then
            echo "--default-network-opt=bridge=com.docker.network.driver.mtu=$mtu"
        else
            say "this dockerd has no --default-network-opt: give networks that users make -o com.docker.network.driver.mtu=$mtu"
        fi
    fi
    echo "--cgroup-parent=$(own_cgroup)/docker"
    echo "--default-ulimit=nofile=$(nofile)"
    echo "--host=unix://$sockets/docker.sock"
    if [ -n "${DIND_GROUP:-}" ]; then echo "--group=$DIND_GROUP"; fi
    if [ -n "${DIND_TLS:-}" ]; then
        for file in ca.pem cert.pem key.pem; do
            if [ ! -s "$DIND_TLS/$file" ]; then die "$DIND_TLS/$file is missing; dockerd does not listen without it"; fi
        done
        echo "--tlsverify"
        echo "--tlscacert=$DIND_TLS/ca.pem"
        echo "--tlscert=$DIND_TLS/cert.pem"
        echo "--tlskey=$DIND_TLS/key.pem"
        echo "--host=tcp://0.0.0.0:2376"
    fi
}

run() {
    if ! mounted "$data"; then die "no volume is mounted on $data: layers would lie in this container, out of sight of any limit"; fi
    mkdir -p "$sockets"
    rm -f "$sockets/docker.sock" "$sockets/job-ended" /run/docker.pid
    # Inside a container the propagation is private; `docker run -v ...:shared` needs it shared.
    mount --make-rshared / 2>/dev/null || say "mounts of containers cannot be shared here"
    # Who has CAP_SYS_RESOURCE may raise its own; containerd 2 and ctr give containers little.
    ulimit -n 1048576 2>/dev/null || true
    found=$(arguments)
    delegate "$(own_cgroup)"
    choose_iptables
    ulimit -n "$(ulimit -Hn)"
    # The kubelet makes its pods likelier to be killed than what dockerd starts: of all in the pod, dockerd would go first, not
    # the container that eats the memory.
    echo 0 2>/dev/null >"$proc/self/oom_score_adj" || say "oom_score_adj stays $(cat "$proc/self/oom_score_adj")"
    # One argument a line; none holds a blank.
    # shellcheck disable=SC2086
    set -- dockerd --config-file="$here/daemon.json" $found
    say "$*"
    "$@" &
    dockerd=$!
    trap 'kill -TERM "$dockerd" 2>/dev/null || true' TERM INT
    # This shell is process 1: it also reaps what containers leave behind, which dockerd does not.
    while kill -0 "$dockerd" 2>/dev/null; do
        if [ "${DIND_ENDS_WITH_JOB:-}" = 1 ] && [ -e "$sockets/job-ended" ]; then kill -TERM "$dockerd" 2>/dev/null || true; fi
        sleep 1 &
        wait $! || true
    done
    code=0
    wait "$dockerd" || code=$?
    return "$code"
}

ready() { DOCKER_HOST="unix://$sockets/docker.sock" docker info >/dev/null; }

await() {
    left=${DIND_WAIT:-120}
    until ready 2>/dev/null; do
        left=$((left - 1))
        if [ "$left" -le 0 ]; then die "dockerd does not answer on $sockets/docker.sock after ${DIND_WAIT:-120} s"; fi
        sleep 1
    done
}

case ${1:-} in
    run) run ;;
    ready) ready ;;
    wait) await ;;
    arguments) arguments ;;
    *) die "usage: start.sh run | ready | wait | arguments" ;;
esac
