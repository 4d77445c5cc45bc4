#!/usr/bin/env bash
# builder.sh: the image that compiles; prints its name.
set -euo pipefail
# shellcheck source=molecule/_lab/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../host/lib.sh"

base=$("$LAB_DIR/images/base.sh" bookworm)
image=unshim-lab/builder:$(content_tag "$base" "$LAB_DIR/images/builder")
has_image "$image" ||
    with_progress "builder image" \
        docker build --force-rm --label unshim.lab.image=1 --build-arg BASE="$base" -t "$image" "$LAB_DIR/images/builder"
printf '%s\n' "$image"
