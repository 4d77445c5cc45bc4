#!/usr/bin/env bash
# Unpack sshd and the libraries this machine lacks into a directory, without installing the package, which would start it.
set -euo pipefail
target=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

libraries() { LD_LIBRARY_PATH=$work/lib ldd "$1" | awk '$2 == "=>" && $3 == "not" { print $1 }'; }

mkdir lib
if sshd=$(PATH=$PATH:/usr/sbin command -v sshd); then
  cp "$sshd" sshd
else
  apt-get download -q openssh-server libwrap0
  for package in ./*.deb; do dpkg-deb -x "$package" unpacked; done
  cp unpacked/usr/sbin/sshd sshd
  # From OpenSSH 9.8 on sshd is more than one program, and looks for the others where the package has them.
  find unpacked/usr/lib/openssh -name 'sshd-*' -exec cp {} . \;
  find unpacked -name '*.so*' -exec cp -P {} lib/ \;
fi
missing=$(libraries ./sshd)
if [ -n "$missing" ]; then
  printf 'sshd lacks libraries on this machine: %s\n' "$missing" >&2
  exit 1
fi
mkdir -p "$target/lib"
cp sshd* "$target/"
cp -P lib/. -r "$target/lib/"
touch "$target/.complete"
