#!/usr/bin/env bash
# unpack_debian.sh SUITE TARGET PACKAGE...: Debian packages of a suite unpacked into a directory, none of them installed, so no
# service starts. The mirror is the machine's own; what is installed there does not count, or a newer release's would be wanted.
set -euo pipefail
suite=$1 target=$2
shift 2
# shellcheck disable=SC2016  # apt-get's own variable
mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | sort -u | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,cache/archives}/partial "$work/tree"
: >"$work/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$work/lists" \
    -o Dir::State::status="$work/status" \
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none "$@"
}
apt update
cd "$work"
apt download "$@"
for package in ./*.deb; do dpkg-deb -x "$package" tree; done
mkdir -p "$(dirname "$target")"
rm -rf "$target"
mv tree "$target"
