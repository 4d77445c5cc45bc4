#!/usr/bin/env bash
# down.sh [--clean]: remove every machine of the lab and its network; stop Docker if the lab started it.
# --clean also removes the lab's images and caches.
set -euo pipefail
# shellcheck source=molecule/_lab/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/host/lib.sh"

# Two labels, for a container inherits its image's: what somebody else runs from an image of ours is theirs.
machines=(--filter label=unshim.lab=1)
images=(--filter label=unshim.lab.image=1)

remove_machines() {
    local found
    # By label, so that scenarios' machines and leftovers of interrupted runs go too.
    mapfile -t found < <(docker ps --all --quiet "${machines[@]}")
    [ "${#found[@]}" -eq 0 ] || docker rm --force --volumes "${found[@]}"
    mapfile -t found < <(docker network ls --quiet "${machines[@]}")
    [ "${#found[@]}" -eq 0 ] || docker network rm "${found[@]}"
}

remove_images() {
    local found
    # Untagged ones are build stages and what newer builds replaced; children go before what they were built on.
    mapfile -t found < <(docker images --quiet "${images[@]}" | sort -u)
    [ "${#found[@]}" -eq 0 ] || docker rmi --force "${found[@]}"
    docker image prune --force "${images[@]}"
}

if docker info >/dev/null 2>&1; then
    with_progress "remove the machines" remove_machines
    rm -rf "$REPO_DIR"/build/lab{,-*}
    [ "${1:-}" != --clean ] || with_progress "remove the images" remove_images
fi
"$LAB_DIR/host/docker.sh" stop
if [ "${1:-}" = --clean ]; then
    rm -rf "$CACHE_DIR"/{kubernetes*,venv*,base-*,images.lock,logs}
    rm -f "$REPO_DIR/.venv"
    rmdir "$CACHE_DIR" 2>/dev/null || true
fi
