#!/usr/bin/env bash
# Install what the lab needs on a Debian or Ubuntu machine, and only what is missing.
set -euo pipefail
# shellcheck source=molecule/_lab/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# command -> package that brings it
wanted=(
    iptables:iptables
    mmdebstrap:mmdebstrap
    rsync:rsync
    jq:jq
    curl:curl
    shellcheck:shellcheck
    make:make
    git:git
    openssl:openssl
    ssh-keygen:openssh-client
    pgrep:procps
    ss:iproute2
    chattr:e2fsprogs
)

missing=()
for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || missing+=("${pair#*:}")
done
# mmdebstrap makes Debian images on Ubuntu too, if it knows Debian's keys.
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
# The report is looked at in a browser. Ubuntu's Chromium is a snap, which apt does not have: those tests are skipped there.
if ! command -v chromium chromium-browser google-chrome >/dev/null && apt-cache show chromium >/dev/null 2>&1; then
    missing+=(chromium)
fi
# An engine that answers is the user's own, and a dockerd without a running engine can be started: both are left alone.
# A docker command alone (no engine) stays too: Debian's goes to /usr/bin, beside it.
engine=no
if ! docker info >/dev/null 2>&1 && ! command -v dockerd >/dev/null && [ ! -x /usr/sbin/dockerd ]; then
    engine=yes
    missing+=(docker.io)
    command -v docker >/dev/null || ! apt-cache show docker-cli >/dev/null 2>&1 || missing+=(docker-cli)
fi

if [ "${#missing[@]}" -eq 0 ]; then
    exit 0
fi
command -v apt-get >/dev/null ||
    die "this machine has no apt; install by hand: ${missing[*]}"
[ "$(id -u)" -eq 0 ] ||
    die "these packages are missing and only root can install them: ${missing[*]}"

install_missing() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q || return
    apt-get install -q -y --no-install-recommends "${missing[@]}"
}
with_progress "install ${missing[*]}" install_missing

if [ "$engine" = yes ] && docker info >/dev/null 2>&1; then
    # The package's own start script has started it: it is ours to stop.
    mkdir -p "$STATE_DIR"
    if [ -d /run/systemd/system ]; then echo systemctl; else echo service; fi >"$STATE_DIR/docker-started-by"
fi
