#!/usr/bin/env bash
# Build Kubernetes v1.20.2, the last line with dockershim as everybody ran it; prints the directory of the binaries.
#
# The result is cached by the content of what builds it. The build happens in a temporary directory, so an interrupted
# one leaves nothing that a later run could take for finished; Go's own cache (safe to reuse) shortens that later run.
set -euo pipefail
# shellcheck source=molecule/_lab/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../host/lib.sh"

version=v1.20.2
here=$LAB_DIR/kubernetes
out=$CACHE_DIR/kubernetes-$version-$(content_tag "$version" "$here/compile.sh" "$LAB_DIR/images/builder/Dockerfile")
container=unshim-lab-kubernetes-build

if [ -d "$out" ]; then
    printf '%s\n' "$out"
    exit 0
fi
mkdir -p "$CACHE_DIR/kubernetes-gocache"
exec 9>"$CACHE_DIR/kubernetes.lock"
if ! flock -n 9; then
    say "another build of Kubernetes is running: waiting for it"
    flock 9
fi
if [ -d "$out" ]; then
    printf '%s\n' "$out"
    exit 0
fi

builder=$("$LAB_DIR/images/builder.sh")
part=$(mktemp -d "$CACHE_DIR/kubernetes.part.XXXXXX")
# Nobody else builds while we hold the lock, so a container of that name is a leftover.
clean_up() {
    docker rm -f "$container" >/dev/null 2>&1 || true
    rm -rf "$part"
}
trap clean_up EXIT
docker rm -f "$container" >/dev/null 2>&1 || true

with_progress "build Kubernetes $version (about 7 minutes on two cores)" \
    docker run --name "$container" --label unshim.lab=1 \
    -v "$here/compile.sh:/compile.sh:ro" -v "$part:/out" -v "$CACHE_DIR/kubernetes-gocache:/root/.cache/go-build" \
    "$builder" bash /compile.sh "$version"

chmod 755 "$part"
sync -f "$part"
mv "$part" "$out"
rm -rf "$CACHE_DIR/kubernetes-gocache"
printf '%s\n' "$out"
