#!/usr/bin/env bash
# archives.sh: release archives of containerd 2, runc and the CNI plugins, as a site without a repository has them; prints
# their directory. Each has its .sha256 beside it.
set -euo pipefail
# shellcheck source=molecule/_lab/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../host/lib.sh"

here=$LAB_DIR/images
base=$("$here/base.sh" trixie)
directory=$CACHE_DIR/archives-$(content_tag "$here/archives" "$base")

pack() {
    local image=unshim-lab/archives:${directory##*-} container
    DOCKER_BUILDKIT=0 docker build --force-rm --label unshim.lab.image=1 --build-arg BASE="$base" -t "$image" "$here/archives" || return
    # An image without a program: the container is never started.
    container=$(docker create --label unshim.lab=1 "$image" none) || return
    rm -rf "$directory.part"
    docker cp "$container:/archives" "$directory.part" && docker rm "$container" && mv "$directory.part" "$directory"
}

mkdir -p "$CACHE_DIR"
exec 7>"$CACHE_DIR/archives.lock"
flock 7
[ -d "$directory" ] || with_progress "archives of containerd" pack
printf '%s\n' "$directory"
