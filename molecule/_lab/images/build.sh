#!/usr/bin/env bash
# build.sh [SUITE...]: every image of the lab, machines of the given Debian suites and kinds (bookworm if none). Prints
# their names as JSON. What is cached by its content is not built again, so a second run takes a second.
set -euo pipefail
# shellcheck source=molecule/_lab/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../host/lib.sh"

here=$LAB_DIR/images
version=v1.20.2
suites=("$@")
[ "${#suites[@]}" -gt 0 ] || suites=(bookworm)

# build NAME DIRECTORY [ARGUMENT=VALUE...]: sets $image; its tag is the content of the directory and of the arguments.
build() {
    local name=$1 directory=$2 argument options=()
    shift 2
    image=unshim-lab/$name:$(content_tag "$here/$directory" "$@")
    if has_image "$image"; then return; fi
    for argument in "$@"; do options+=(--build-arg "$argument"); done
    # The classic builder is in every engine; BuildKit needs a plugin that distributions leave out.
    DOCKER_BUILDKIT=0 with_progress "image $name" \
        docker build --force-rm --label unshim.lab.image=1 "${options[@]}" -t "$image" "$here/$directory"
}

# The binaries as an image, so that the others can COPY --from it and no build context carries them.
import_kubernetes() {
    tar -C "$1" -c . | docker import --change 'LABEL unshim.lab.image=1' - "$2"
}

mkdir -p "$CACHE_DIR"
exec 7>"$CACHE_DIR/images.lock"
flock 7

base=$("$here/base.sh" bookworm)
builder=$("$here/builder.sh")

# Compiling takes minutes of both cores, the images mostly wait for downloads: side by side.
kubernetes_result=$(mktemp)
trap 'rm -f "$kubernetes_result"' EXIT
"$LAB_DIR/kubernetes/build.sh" >"$kubernetes_result" &
kubernetes_build=$!
trap 'kill "$kubernetes_build" 2>/dev/null || true; rm -f "$kubernetes_result"' EXIT

# Machines that are more than a suite, and the suite they start from; images/KIND is made on top of that.
declare -A kinds=([containerd2]=trixie [dnf]=bookworm [zypper]=bookworm)
declare -A fresh node
for suite in "${suites[@]}"; do
    starts_from=${kinds[$suite]:-$suite}
    suite_base=$("$here/base.sh" "$starts_from")
    build "fresh-$starts_from" systemd BASE="$suite_base"
    if [ "$suite" != "$starts_from" ]; then
        arguments=(SYSTEMD="$image")
        if [ "$suite" = dnf ] || [ "$suite" = zypper ]; then
            build rpms rpms BASE="$suite_base"
            arguments+=(RPMS="$image")
        fi
        build "fresh-$suite" "$suite" "${arguments[@]}"
    fi
    fresh[$suite]=$image
done
declare -A pushed
build etcd etcd BASE="$base"
pushed[etcd:3.4.13-0]=$image
build pause pause BUILDER="$builder"
pushed[pause:3.2]=$image
build busybox busybox BASE="$base"
pushed[busybox:1.35]=$image
busybox=$image
# Each with a layer of its own, to be pulled before and after a move. A mirror is asked for library/NAME.
for sample in by-digest {plain,private,range,library/mirrored}-{before,after}; do
    build "sample-${sample#*/}" sample BUSYBOX="$busybox" NAME="$sample"
    pushed[$sample:1]=$image
done
build web web BUILDER="$builder"
pushed[web:1]=$image
build dns dns BASE="$base"
pushed[dns:1]=$image
# Of the suite whose dockerd can give users' networks an MTU.
dind_base=$("$here/base.sh" trixie)
build dind dind BASE="$dind_base"
pushed[dind:1]=$image
build proxy proxy BASE="$base"
proxy=$image
build registry-empty registry BASE="$base"
registry_empty=$image

wait "$kubernetes_build" || die "the build of Kubernetes failed"
binaries=$(cat "$kubernetes_result")
kubernetes=unshim-lab/kubernetes:${binaries##*-}
has_image "$kubernetes" || with_progress "image kubernetes" import_kubernetes "$binaries" "$kubernetes"

for program in kube-apiserver kube-controller-manager kube-scheduler; do
    build "$program" control-plane KUBERNETES="$kubernetes" PROGRAM="$program"
    pushed[$program:$version]=$image
done
build kube-proxy kube-proxy BASE="$base" KUBERNETES="$kubernetes"
pushed[kube-proxy:$version]=$image
for suite in "${suites[@]}"; do
    if [ -n "${kinds[$suite]:-}" ]; then continue; fi  # fresh machines only
    build "node-$suite" node SYSTEMD="${fresh[$suite]}" KUBERNETES="$kubernetes"
    # shellcheck disable=SC2034  # read by its name, in pairs
    node[$suite]=$image
done

# A registry that already holds the images: pushed once, then kept as an image itself.
fill_registry() {
    local container=unshim-lab-registry-fill address name
    docker rm -f -v "$container" >/dev/null 2>&1 || true
    docker run -d --name "$container" --label unshim.lab=1 -p 127.0.0.1::5000 "$registry_empty" >/dev/null || return
    # Docker trusts a plain-HTTP registry on the loopback address: no setting of the engine is touched.
    address=$(docker port "$container" 5000/tcp | head -n 1)
    curl -fsS --retry 50 --retry-delay 1 --retry-all-errors "http://$address/v2/" || return
    for name in "${!pushed[@]}"; do
        docker tag "${pushed[$name]}" "$address/$name" || return
        docker push -q "$address/$name" || return
        docker rmi "$address/$name" || return
    done
    docker stop "$container" && docker commit "$container" "$registry" && docker rm -v "$container"
}
registry_contents=()
for name in "${!pushed[@]}"; do registry_contents+=("$name ${pushed[$name]}"); done
mapfile -t registry_contents < <(printf '%s\n' "${registry_contents[@]}" | LC_ALL=C sort)
registry=unshim-lab/registry:$(content_tag "$registry_empty" "${registry_contents[@]}")
has_image "$registry" || with_progress "image registry" fill_registry

pairs() {
    local -n images=$1
    local suite
    for suite in "${!images[@]}"; do printf '%s %s\n' "$suite" "${images[$suite]}"; done |
        jq -R -n '[inputs / " " | {(.[0]): .[1]}] | add // {}'
}
jq -n --arg registry "$registry" --arg proxy "$proxy" --arg binaries "$binaries" \
    --argjson node "$(pairs node)" --argjson fresh "$(pairs fresh)" \
    '{registry: $registry, proxy: $proxy, binaries: $binaries, node: $node, fresh: $fresh}'
