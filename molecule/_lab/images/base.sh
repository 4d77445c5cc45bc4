#!/usr/bin/env bash
# base.sh SUITE: a minimal Debian as a Docker image; prints its name. No image registry takes part.
set -euo pipefail
# shellcheck source=molecule/_lab/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../host/lib.sh"

suite=${1:?usage: base.sh SUITE}
options=(--variant=minbase --include=ca-certificates --components=main)
if [ "$suite" = sid ]; then
    # The Release file of an unstable suite expires; a mirror that lags behind still serves the packages.
    options+=(--aptopt='Acquire::Check-Valid-Until "false"')
fi
image=unshim-lab/base-$suite:$(content_tag "$suite" "${options[@]}")

import_base() {
    local mirror
    mirror=$(debian_mirror)
    # It hands the number of a pipe of its own to dash, which knows none of two digits: so none below is taken.
    mmdebstrap "${options[@]}" "$suite" - ${mirror:+"$mirror"} 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- |
        docker import --change 'LABEL unshim.lab.image=1' - "$image.part" &&
        docker tag "$image.part" "$image" &&
        docker rmi "$image.part"
}

mkdir -p "$CACHE_DIR"
exec 8>"$CACHE_DIR/base-$suite.lock"
flock 8
has_image "$image" || with_progress "base image of $suite" import_base
printf '%s\n' "$image"
