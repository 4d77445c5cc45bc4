#!/usr/bin/env bash
# Unpack sshd and the libraries this machine lacks into a directory, without installing the package, which would start it.
set -euo pipefail
target=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

libraries() { LD_LIBRARY_PATH=$work/lib ldd "$@" | awk '$2 == "=>" && $3 == "not" { print $1 }' | sort -u; }

# What the package depends on and this machine has not.
lacking() {
  local name
  for name in $(apt-cache depends openssh-server | sed -n 's/^ *|\{0,1\}Depends: \(lib[^<>]*\)$/\1/p' | sort -u); do
    dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q ' installed$' || printf '%s\n' "$name"
  done
}

mkdir lib
if sshd=$(PATH=$PATH:/usr/sbin command -v sshd); then
  cp "$sshd" sshd
else
  mapfile -t packages < <(lacking)
  apt-get download -q openssh-server "${packages[@]}"
  for package in ./*.deb; do dpkg-deb -x "$package" unpacked; done
  cp unpacked/usr/sbin/sshd sshd
  # From OpenSSH 9.8 on sshd is more than one program, and looks for the others where the package has them.
  find unpacked/usr/lib/openssh -name 'sshd-*' -exec cp {} . \;
  find unpacked -name '*.so*' -exec cp -P {} lib/ \;
fi
missing=$(libraries ./sshd*)
if [ -n "$missing" ]; then
  printf 'sshd lacks libraries on this machine: %s\n' "$missing" >&2
  exit 1
fi
mkdir -p "$target/lib"
cp sshd* "$target/"
cp -P lib/. -r "$target/lib/"
touch "$target/.complete"
