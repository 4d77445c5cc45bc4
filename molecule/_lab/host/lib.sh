# shellcheck shell=bash
# Shared by the lab's scripts: where things live and how they report. Sourced, never run.

LAB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REPO_DIR=$(cd "$LAB_DIR/../.." && pwd)
# shellcheck disable=SC2034  # used by the scripts that source this file
STATE_DIR=/run/unshim-lab
if [ "$(id -u)" -eq 0 ]; then
    CACHE_DIR=${UNSHIM_CACHE:-/var/cache/unshim}
else
    CACHE_DIR=${UNSHIM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/unshim}
fi
LOG_DIR=$CACHE_DIR/logs
export LAB_DIR REPO_DIR CACHE_DIR LOG_DIR

say() { printf 'lab: %s\n' "$*" >&2; }

die() {
    printf 'lab: error: %s\n' "$*" >&2
    exit 1
}

# The machine's own choice of mirror, so that the project names none; empty where the machine is not of that family,
# and then debootstrap's and apt's own defaults apply.
debian_mirror() {
    # shellcheck disable=SC1091
    [ "$(. /etc/os-release && echo "$ID")" = debian ] || return 0
    # shellcheck disable=SC2016  # apt-get's own placeholders
    apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(SUITE)' 2>/dev/null |
        awk '$2 == "Debian" && $NF !~ /security|updates|backports/ { sub("/$", "", $1); print $1; exit }'
}

# with_progress LABEL COMMAND...: the command's output goes to a log; a line every 10 s tells that it is alive.
with_progress() {
    local label=$1 log start pid status=0 next
    shift
    mkdir -p "$LOG_DIR"
    log=$LOG_DIR/$(printf '%s' "$label" | tr -c 'A-Za-z0-9.\n' '-').log
    start=$SECONDS next=10
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    # An interrupted run must not leave the work going on behind the user's back.
    trap 'kill "$pid" 2>/dev/null || true; exit 130' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.3
        if [ $((SECONDS - start)) -ge "$next" ]; then
            say "$label ... $((SECONDS - start)) s"
            next=$((next + 10))
        fi
    done
    wait "$pid" || status=$?
    trap - INT TERM
    if [ "$status" -ne 0 ]; then
        say "$label failed after $((SECONDS - start)) s; the end of $log:"
        tail -n 25 "$log" >&2
        return "$status"
    fi
    say "$label: $((SECONDS - start)) s"
}

# content_tag WORD... : a tag that changes when any of the words or files given does.
content_tag() {
    local item
    for item in "$@"; do
        if [ -d "$item" ]; then
            find "$item" -type f -print0 | LC_ALL=C sort -z | xargs -0 cat
        elif [ -f "$item" ]; then
            cat "$item"
        else
            printf '%s\n' "$item"
        fi
    done | sha256sum | cut -c1-12
}

# Whether unshim has begun to move a machine of a lab that is up: it cannot serve as a dockershim cluster any more.
lab_was_moved() {
    local machine
    for machine in $(docker ps --quiet --filter label=unshim.lab=1); do
        if docker exec "$machine" test -e /var/lib/unshim/journal.json; then return 0; fi
    done
    return 1
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }
