#!/usr/bin/env bash
# up.sh [INVENTORY...]: images and machines of the lab, inventory/lab if none is named.
set -euo pipefail
# shellcheck source=molecule/_lab/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/host/lib.sh"

inventories=("$@")
[ "${#inventories[@]}" -gt 0 ] || inventories=("$REPO_DIR/inventory/lab")
options=()
for inventory in "${inventories[@]}"; do options+=(--inventory "$inventory"); done

if lab_was_moved; then
    say "the lab is up and unshim has been at work there; it stays as it is (make lab-down, then lab-up, begins anew)"
    exit 0
fi

# Here rather than from the playbook, which would hide the progress of minutes.
"$LAB_DIR/images/build.sh" >/dev/null
with_progress "create the machines and the cluster" \
    "$REPO_DIR/.venv/bin/ansible-playbook" "${options[@]}" "$LAB_DIR/create.yml"
