#!/bin/sh
# Look at a node and print what is there, for observe.py to read. Changes nothing and writes no file
# (dnf's own log aside).
#
# POSIX sh with coreutils or busybox; everything else is used if it is there. What cannot be seen is said, not guessed:
# "@@not-seen". Output: sections "@@name argument", then lines; file contents as base64, so no content can be taken for a
# section, and no terminal can change it. Private keys, registry logins and kubeconfigs are never printed.
#
# Docker is asked only where it runs already: a connection to docker.socket would start it.
# All work is done in main, called on the last line: a script that arrives cut off does nothing.

PACKAGES='containerd containerd.io runc docker.io docker-cli docker-ce docker-ce-cli moby-engine moby-containerd
containernetworking-plugins cri-tools kubelet kubeadm kubernetes-cni containerd-ctr cni-plugins'
UNITS='kubelet.service docker.service docker.socket containerd.service cri-docker.service cri-docker.socket
cri-dockerd.service cri-dockerd.socket' # by these names in kubespray
DAEMONS='kubelet dockerd cri-dockerd containerd'
DOCKER_SOCKET=/var/run/docker.sock
CONTENT_LIMIT=1048576 # bytes; a configuration file is smaller
NEWLINE='
'

# Call a function with each line of a text: each file "$paths"
each() {
  set -f
  IFS=$NEWLINE
  for each_line in $2; do
    unset IFS
    set +f
    "$1" "$each_line"
  done
  unset IFS
  set +f
}

# Call a command with the lines of a text as arguments after its own; not at all if there are none: with_lines "$paths" cat
with_lines() {
  lines=$1
  shift
  own=$#
  set -f
  IFS=$NEWLINE
  # shellcheck disable=SC2086 # one word per line
  set -- "$@" $lines
  unset IFS
  set +f
  [ $# = "$own" ] || "$@"
}

has() { command -v "$1" >/dev/null; }

not_seen() { printf '@@not-seen %s\n' "$1"; }

find_timeout() {
  if ! has timeout; then
    limit=
  elif timeout 9 true; then
    limit='timeout 10'
  elif timeout -t 9 true; then # busybox before 1.30
    limit='timeout -t 10'
  fi
}

# Run a command that talks to a daemon or reads a database, for 10 seconds at most.
# shellcheck disable=SC2086 # limit is none or several words
t() { $limit "$@"; }

# What a controller that was killed has started here goes on, and changes what is to be seen, until it is done.
wait_for_modules() {
  if [ -e /var/lib/unshim/lock ] && has flock; then flock -s -w 300 /var/lib/unshim/lock true; fi
}

# True for a process that serves. One that only says its version or its configuration (another probe's, say) does not, nor
# does one that has no command line yet or any more.
serves() {
  case " $(tr '\n\0' '  ' <"$1/cmdline")" in
    ' ' | *' --version '* | *' -v ' | *' --help '* | *' --validate '* | *' config '* | *' publish '*) return 1 ;;
  esac
}

# Sets daemons to the directories in /proc of what has such a name; only these are looked at closely.
find_daemons() {
  # shellcheck disable=SC2046,SC2086 # one -e per name
  daemons=$(grep -s -l -F -x $(printf ' -e %s' $DAEMONS) /proc/[0-9]*/comm)
}

# The processes with this name, of this machine: those of its containers are left out.
processes() {
  for proc in $daemons; do
    proc=${proc%/comm}
    read -r comm <"$proc/comm" || continue
    [ "$comm" = "$1" ] || continue
    serves "$proc" || continue
    nested=
    while read -r key _ inner; do
      [ "$key" = NSpid: ] && nested=$inner && break
    done <"$proc/status"
    [ -z "$nested" ] || continue
    case $(cat "$proc/cgroup") in *kubepods*) continue ;; esac
    printf '%s\n' "${proc#/proc/}"
  done
}

# Sets property to systemd's word on a unit, a value a line: unit_property docker.service ActiveState
unit_property() {
  property=
  [ -n "$units" ] || return 0
  is_unit=
  set -f
  IFS=$NEWLINE
  for unit_line in $units; do
    case $unit_line in
      "@@unit $1") is_unit=1 ;;
      '@@unit '*) [ -z "$is_unit" ] || break ;;
      "$2="*) [ -z "$is_unit" ] || property=$property${property:+$NEWLINE}${unit_line#*=} ;;
    esac
  done
  unset IFS
  set +f
}

# Sets pid to the process of a unit, else to the first that has the name: find_daemon docker.service dockerd
find_daemon() {
  unit_property "$1" MainPID
  pid=$property
  case $pid in
    '' | 0)
      pid=$(processes "$2")
      pid=${pid%%"$NEWLINE"*}
      ;;
  esac
}

# The resource limits of a process: limits NAME PID
limits() {
  case $2 in '' | 0) return ;; esac
  [ -r "/proc/$2/limits" ] || return
  printf '@@limits %s\n' "$1"
  sed -n 's/^Max //p' "/proc/$2/limits"
}

# The program of a running process, else the one on PATH: program PID NAME
program() {
  path=
  [ -n "$1" ] && path=$(readlink "/proc/$1/exe")
  path=${path% (deleted)}
  [ -n "$path" ] || path=$(command -v "$2")
  printf '%s' "$path"
}

encode() {
  if has base64; then
    printf 'content base64\n' && base64
  elif has openssl; then
    printf 'content base64\n' && openssl base64
  else
    printf 'content hex\n' && od -An -v -tx1
  fi
}

# Whether a directory above this path is closed to the user we run as.
is_hidden() {
  above=${1%/*}
  while [ -n "$above" ] && [ ! -d "$above" ]; do above=${above%/*}; done
  [ -n "$above" ] && [ ! -x "$above" ]
}

# Have a file shown, once. With "metadata" its content stays on the node, and so does a private key's or kubeconfig's anyway.
file() {
  case $files_done in *"$NEWLINE$1$NEWLINE"*) return ;; esac
  case $1 in *"$NEWLINE"*) return ;; esac
  files_done=$files_done$1$NEWLINE
  if [ "$2" = metadata ]; then files_closed=$files_closed$1$NEWLINE; fi
}

# The files that file was called with. What takes a program is asked for all of them at once.
show_files() {
  files_there= # those that exist
  files_open=  # those whose content may be shown
  each find_file "$files_done"
  stats=$(with_lines "$files_there" stat -L -c '%a %U %G %s %n' --)
  secrets=$(with_lines "$files_open" grep -l -e 'PRIVATE KEY-----' -e 'client-key-data:' -e '^kind: Config$' --)
  each show_file "$files_done"
}

find_file() {
  [ -e "$1" ] || return 0
  files_there=$files_there$1$NEWLINE
  if [ ! -f "$1" ] || [ ! -r "$1" ]; then return; fi
  case $NEWLINE$files_closed in *"$NEWLINE$1$NEWLINE"*) ;; *) files_open=$files_open$1$NEWLINE ;; esac
}

show_file() {
  printf '@@file %s\n' "$1"
  if [ -L "$1" ]; then
    printf 'link %s\n' "$(readlink -f "$1" || readlink "$1")"
  fi
  if [ ! -e "$1" ]; then
    if is_hidden "$1"; then printf 'kind unreadable\n'; else printf 'kind missing\n'; fi
    return
  fi
  meta=${stats%%"$NEWLINE"*} # stat answered in the order of the files
  case $meta in
    *" $1")
      stats=${stats#"$meta"}
      stats=${stats#"$NEWLINE"}
      meta=${meta%" $1"}
      printf 'stat %s\n' "$meta"
      ;;
    *) meta= ;;
  esac
  if [ -d "$1" ]; then
    printf 'kind directory\n'
  elif [ -S "$1" ]; then
    printf 'kind socket\n'
  elif [ ! -f "$1" ]; then
    printf 'kind other\n'
  elif [ ! -r "$1" ]; then
    printf 'kind unreadable\n'
  else
    printf 'kind file\n'
    show_content "$1"
  fi
}

show_content() {
  case $files_open in "$1$NEWLINE"* | *"$NEWLINE$1$NEWLINE"*) ;; *) return ;; esac
  case $NEWLINE$secrets$NEWLINE in *"$NEWLINE$1$NEWLINE"*) return ;; esac
  if [ "${meta##* }" -gt "$CONTENT_LIMIT" ]; then
    not_seen "$1: ${meta##* } bytes, more than a configuration file has"
  else
    encode <"$1"
  fi
}

# The files in a directory that match a pattern.
files_in() {
  if is_hidden "$1/." || { [ -d "$1" ] && [ ! -r "$1" ]; }; then
    not_seen "$1: may not be listed by this user"
    return
  fi
  # shellcheck disable=SC2231 # the pattern must expand
  for entry in "$1"/$2; do
    if [ -d "$entry" ]; then continue; fi
    if [ -e "$entry" ] || [ -L "$entry" ]; then file "$entry"; fi
  done
}

# A directory with one directory per registry: certs.d. Keys are metadata only.
registry_files() {
  files_in "$1" '*/hosts.toml'
  files_in "$1" '*/*.crt'
  files_in "$1" '*/*.cert'
  for entry in "$1"/*/*; do
    if [ -f "$entry" ] || [ -L "$entry" ]; then file "$entry" metadata; fi
  done
}

# A file of registry logins: metadata, and what its objects are called, which are the registries. Values are never printed.
logins() {
  file "$1" metadata
  if [ ! -f "$1" ] || [ ! -r "$1" ]; then return; fi
  printf '@@registry-logins %s\n' "$1"
  tr '\n\r' '  ' <"$1" | grep -o '"[A-Za-z0-9._:/-]*"[[:space:]]*:[[:space:]]*{' | sed 's/^"\([^"]*\)".*$/name \1/'
  if grep -q '"credsStore"' "$1"; then printf 'name credsStore\n'; fi
}

# Where a kubelet looks for registry logins (pkg/credentialprovider/config.go), and where Docker's command line does.
login_files() {
  root=$(flag root-dir)
  root=${root:-/var/lib/kubelet}
  here=
  home=
  if [ -n "$kubelet_pid" ]; then
    here=$(readlink "/proc/$kubelet_pid/cwd")
    home=$(tr '\n\0' ' \n' <"/proc/$kubelet_pid/environ" | sed -n 's/^HOME=//p')
  fi
  here=${here%/}
  home=${home:-$here}
  home=${home%/}
  printf '%s\n' "${root%/}/config.json" "$here/config.json" "$home/.docker/config.json" /.docker/config.json \
    "${root%/}/.dockercfg" "$here/.dockercfg" "$home/.dockercfg" /.dockercfg /root/.docker/config.json
}

# The unit file and the drop-ins of a unit; those systemd has not read yet, too.
unit_files() {
  unit_property "$1" FragmentPath
  fragment=$property
  unit_property "$1" DropInPaths # systemd separates the paths by spaces
  for path in $fragment $property "/etc/systemd/system/$1.d"/*.conf \
    "/run/systemd/system/$1.d"/*.conf; do
    if [ -e "$path" ]; then printf '%s\n' "$path"; fi
  done
  # A mask hides the unit's own file, which says what it was started with.
  unit_property "$1" LoadState
  if [ "$property" = masked ] && [ -e "/lib/systemd/system/$1" ]; then
    printf '/lib/systemd/system/%s\n' "$1"
  fi
}

# EnvironmentFile= of unit files, patterns expanded. The files need not be there.
environment_files() {
  sed -n 's/^[[:space:]]*EnvironmentFile[[:space:]]*=[[:space:]]*-\{0,1\}//p' "$@" | tr -d "\"'\\r" |
    while read -r pattern; do
      # shellcheck disable=SC2086 # the pattern must expand
      case $pattern in *%* | '') ;; *) printf '%s\n' $pattern ;; esac
    done
}

# shellcheck disable=SC2086 # the pattern must expand
expanded() { printf '%s\n' ${1% (ignore_errors=*)}; }

# The same as systemd has it, which knows what %H and its like stand for.
loaded_environment_files() {
  for name in EnvironmentFile EnvironmentFiles; do
    unit_property "$1" "$name"
    each expanded "$property"
  done
}

# Every file that has a part in the kubelet's command line.
kubelet_files() {
  paths=$(unit_files kubelet.service)
  printf '%s\n' "$paths" /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet /etc/sysconfig/kubelet
  with_lines "$(each readable "$paths")" environment_files
  loaded_environment_files kubelet.service
}

# What a program was started with, a word a line; if it does not run, the words of the files that would start it, which the
# named function lists: arguments_of PID kubelet_files
arguments_of() {
  if [ -n "$1" ]; then
    tr '\n\0' ' \n' <"/proc/$1/cmdline"
  else
    paths=$(each readable "$("$2")")
    [ -n "$paths" ] || return 0
    # shellcheck disable=SC1003 # a backslash, then a quote
    with_lines "$paths" cat | tr -s ' \t"\\'"'" '\n' | sed 's/^[A-Za-z_]*=--/--/'
  fi
}

# The value of a flag among such words, "" if not given: flag_in "$words" cni-bin-dir
flag_in() {
  case $NEWLINE$1$NEWLINE in *"$NEWLINE--$2="* | *"$NEWLINE--$2$NEWLINE"*) ;; *) return ;; esac
  printf '%s\n' "$1" | sed -n -e "s/^--$2=//p" -e "/^--$2\$/{n;p;}" | tail -n 1
}

flag() { flag_in "$kubelet_arguments" "$1"; }

shim_flag() { flag_in "$cri_dockerd_arguments" "$1"; }

show_system() {
  printf '@@os-release\n'
  cat /etc/os-release || cat /usr/lib/os-release
  python=
  for candidate in python3 /usr/libexec/platform-python; do
    if has "$candidate"; then
      python=$(t "$candidate" -V) # runs no code, so it leaves no __pycache__
      break
    fi
  done
  manager=
  for candidate in apt-get:apt dnf:dnf yum:yum zypper:zypper apk:apk pacman:pacman; do
    if has "${candidate%:*}"; then
      manager=${candidate#*:}
      break
    fi
  done
  read -r init </proc/1/comm
  container=
  if [ -r /run/systemd/container ]; then read -r container </run/systemd/container; fi
  user=$(id -u)
  # shellcheck disable=SC2046 # three words
  set -- $(uname -n -r -m)
  printf '@@system\n'
  printf 'machine %s\nkernel %s\nhostname %s\n' "$3" "$2" "$1"
  printf 'init %s\nuid %s\ntime %s\n' "$init" "$user" "$(date +%s)"
  printf 'container %s\n' "$container"
  printf 'python %s\npackage_manager %s\n' "${python#Python }" "$manager"
}

# Says that the kernel has no such module to load; where its modules are not here (in a container) nothing is known.
absent_module() {
  tree=/lib/modules/$(uname -r)
  if [ -s "$tree/modules.dep" ] && ! grep -q "/$1\.ko" "$tree/modules.dep" "$tree/modules.builtin"; then
    printf 'absent %s\n' "$1"
  fi
}

show_kernel() {
  printf '@@kernel\n'
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    printf 'cgroup v2\n'
  elif [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then
    printf 'cgroup hybrid\n'
  elif [ -d /sys/fs/cgroup/memory ] || [ -d /sys/fs/cgroup/cpu ]; then
    printf 'cgroup v1\n'
  fi
  if grep -s -q -e '^nodev.overlay$' -e '^overlay ' /proc/filesystems /proc/modules; then
    printf 'module overlay\n'
  else
    absent_module overlay
  fi
  if [ -d /proc/sys/net/bridge ] || grep -q '^br_netfilter ' /proc/modules; then
    printf 'module br_netfilter\n'
  else
    absent_module br_netfilter
  fi
  if controllers=$(cat /sys/fs/cgroup/cgroup.controllers) ||
    controllers=$(awk '$4 == 1 { printf "%s%s", blank, $1; blank = " " }' /proc/cgroups); then
    printf 'controllers %s\n' "$controllers"
  fi
  # Not read: it takes byte by byte, which these files do not give.
  each show_sysctl "$(grep -s '' /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/forwarding \
    /proc/sys/net/bridge/bridge-nf-call-iptables /proc/sys/net/bridge/bridge-nf-call-ip6tables)"
}

# A line of grep's, /proc/sys/net/ipv4/ip_forward:1, under the name that sysctl has for it.
show_sysctl() {
  name=${1%%:*}
  name=${name##*/proc/sys/}
  while :; do
    case $name in */*) name=${name%%/*}.${name#*/} ;; *) break ;; esac
  done
  printf 'sysctl %s %s\n' "$name" "${1#*:}"
}

find_units() {
  units=
  if [ ! -d /run/systemd/system ] || ! has systemctl; then
    return
  fi
  # shellcheck disable=SC2086 # one argument per unit
  units=$(t systemctl show --no-pager -p LoadState -p ActiveState -p UnitFileState -p FragmentPath -p DropInPaths \
    -p MainPID -p NeedDaemonReload -p KillMode -p EnvironmentFiles -p Id $UNITS)
  if [ -z "$units" ]; then
    not_seen 'units: systemctl show did not answer'
    return
  fi
  # Answers come in the order asked, an empty line between them. Id is the alias' target where a name is an alias.
  # shellcheck disable=SC2086
  units=$(
    set -- $UNITS
    printf '@@unit %s\n' "$1"
    printf '%s\n' "$units" | while IFS= read -r line; do
      printf '%s\n' "$line"
      if [ -z "$line" ]; then
        shift
        printf '@@unit %s\n' "$1"
      fi
    done
  )
  printf '%s\n' "$units"
}

# Whether a cache of apt's is newer than everything it was made of: is_fresh CACHE FILE...
is_fresh() { [ -f "$1" ] && [ -z "$(find "$@" -newer "$1")" ]; }

# apt-cache, which would write its caches anew where they are out of date, and must not: those are hidden from it, and it
# works in memory. The cache of the sources outlives an installation, and saves the reading of every list; descriptions are
# only read to make a cache. Pattern-Only: a name with a dot that is no package would be searched for as a regular expression.
apt_cache() {
  caches=/var/cache/apt
  if is_fresh "$caches/pkgcache.bin" /var/lib/dpkg/status /var/lib/apt/lists /etc/apt; then
    :
  elif is_fresh "$caches/srcpkgcache.bin" /var/lib/apt/lists /etc/apt; then
    set -- -o Dir::Cache::pkgcache= "$@"
  else
    set -- -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none "$@"
  fi
  t apt-cache -o APT::Cmd::Pattern-Only=true "$@"
}

# What dnf, yum or zypper would install, from the metadata that is there already. dnf and yum note every call in their
# logs under /var/log; those lines are all that is ever written.
rpm_candidates() {
  # shellcheck disable=SC2086
  case $manager in
    dnf) t dnf -q -C repoquery --latest-limit=1 --qf 'candidate %{name} %{evr}\n' $PACKAGES | grep '^candidate ' ;;
    yum)
      t yum -q -C info available $PACKAGES |
        awk -F ' *: ' '$1 == "Name" { name = $2; epoch = "" } $1 == "Epoch" { epoch = $2 ":" } $1 == "Version" { version = $2 }
          $1 == "Release" { print "candidate " name " " epoch version "-" $2 }'
      ;;
    zypper)
      # It would make a cache for a repository that has none, so only those that have one are asked. No log, no lock.
      repositories=
      for cookie in /var/cache/zypp/solv/*/cookie; do
        alias=${cookie%/cookie}
        alias=${alias##*/}
        if [ -e "/var/cache/zypp/raw/$alias" ]; then repositories="$repositories --repo $alias"; fi
      done
      [ -z "$repositories" ] ||
        t env ZYPP_LOGFILE=/dev/null ZYPP_READONLY_HACK=1 zypper --non-interactive --no-refresh --xmlout search \
          --match-exact --details --type package $repositories $PACKAGES |
        sed -n 's/^<solvable .*name="\([^"]*\)".* edition="\([^"]*\)".* repository="[^(].*$/candidate \1 \2/p' | awk '!seen[$2]++'
      ;;
  esac
}

# What was unpacked from release archives and is in use: links lead to it, or the copied plugins are its own.
show_archives() {
  printf '@@archives\n'
  for record in /opt/unshim/*/.unshim.json; do
    [ -f "$record" ] || continue
    directory=${record%/.unshim.json}
    name=${directory##*/}
    case $name in
      cni-*) cmp -s "$directory/loopback" /opt/cni/bin/loopback || continue ;;
      *) case $(readlink "/usr/local/bin/${name%%-*}") in "$directory"/*) ;; *) continue ;; esac ;;
    esac
    sed -n 's/^.*"sha256": "\([0-9a-f]*\)".*$/archive '"$name"' \1/p' "$record"
  done
}

show_packages() {
  [ -n "$manager" ] || return
  printf '@@packages\n'
  case $manager in
    apt)
      # shellcheck disable=SC2086,SC2016
      t dpkg-query -W -f '${Status} ${Package} ${Version}\n' $PACKAGES | while read -r want _ status name version; do
        [ "$want" = hold ] && printf 'held %s\n' "$name"
        [ "$status" = installed ] && printf 'installed %s %s\n' "$name" "$version"
      done
      # The table of sources stays here.
      # shellcheck disable=SC2086
      apt_cache policy $PACKAGES |
        sed -n -e 's/^\([^ ].*\):$/\1/;t keep' -e 's/^  Candidate: //;t print' -e d -e ':keep' -e 'h;d' \
          -e ':print' -e 'G;s/^\(.*\)\n\(.*\)$/candidate \2 \1/p'
      ;;
    dnf | yum | zypper)
      # shellcheck disable=SC2086
      t rpm -q --qf 'installed %{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n' $PACKAGES | grep '^installed '
      rpm_candidates
      cat /etc/dnf/plugins/versionlock.list /etc/yum/pluginconf.d/versionlock.list | sed -n 's/^[^#!]/locked &/p'
      sed -n 's/^[[:space:]]*name[[:space:]]*=[[:space:]]*"\(.*\)".*$/held \1/p' /etc/dnf/versionlock.toml # dnf 5
      sed -n 's/^solvable_name: */held /p' /etc/zypp/locks
      ;;
    pacman)
      # shellcheck disable=SC2086
      t pacman -Q $PACKAGES | sed 's/^/installed /'
      ;;
    apk)
      # shellcheck disable=SC2086
      for name in $PACKAGES; do
        t apk list --installed "$name" | sed -n "s/^$name-\([0-9][^ ]*\) .*/installed $name \1/p"
      done
      ;;
  esac
}

find_kubelet() {
  find_daemon kubelet.service kubelet
  kubelet_pid=$pid
  kubelet=$(program "$kubelet_pid" kubelet)
  kubelet_arguments=$(arguments_of "$kubelet_pid" kubelet_files)
}

show_kubelet() {
  [ -n "$kubelet" ] || return
  printf '@@kubelet\nbinary %s\npid %s\nversion %s\n' "$kubelet" "${kubelet_pid:-0}" "$(t "$kubelet" --version)"
  kubeconfig=$(flag kubeconfig)
  [ -n "$kubeconfig" ] || kubeconfig=/etc/kubernetes/kubelet.conf
  if [ -r "$kubeconfig" ]; then
    printf 'server %s\n' "$(sed -n 's/^[[:space:]]*server:[[:space:]]*//p' "$kubeconfig" | head -n 1)"
  elif [ -e "$kubeconfig" ] || is_hidden "$kubeconfig"; then
    not_seen "$kubeconfig: may not be read by this user"
  fi
  [ -n "$kubelet_pid" ] || return
  printf 'directory %s\n' "$(readlink "/proc/$kubelet_pid/cwd")"
  printf '@@kubelet-command-line\n'
  encode <"/proc/$kubelet_pid/cmdline"
  if [ -r "/proc/$kubelet_pid/environ" ]; then
    printf '@@kubelet-environment\n'
    tr '\n\0' ' \n' <"/proc/$kubelet_pid/environ" | grep -e '^KUBELET_' -e '^HOME=' | encode
  else
    not_seen 'the environment of the kubelet: may not be read by this user'
  fi
}

# The arguments of dockerd and the variables that decide how it reaches registries. A proxy's password may be among them.
find_dockerd() {
  find_daemon docker.service dockerd
  dockerd_pid=$pid
  daemon_json=
  [ -n "$dockerd_pid" ] || return
  daemon_json=$(tr '\n\0' ' \n' <"/proc/$dockerd_pid/cmdline" |
    sed -n -e 's/^--config-file=//p' -e '/^--config-file$/{n;p;}' | tail -n 1)
}

show_dockerd() {
  [ -n "$dockerd_pid" ] || return
  printf '@@dockerd-command-line\n'
  encode <"/proc/$dockerd_pid/cmdline"
  if [ -r "/proc/$dockerd_pid/environ" ]; then
    printf '@@dockerd-environment\n'
    tr '\n\0' ' \n' <"/proc/$dockerd_pid/environ" |
      grep -i -e '^https\{0,1\}_proxy=' -e '^no_proxy=' -e '^ssl_cert_file=' -e '^ssl_cert_dir=' | encode
  else
    not_seen 'the environment of dockerd: may not be read by this user'
  fi
}

cri_dockerd_files() {
  unit_files cri-docker.service
  unit_files cri-dockerd.service
}

# cri-dockerd has flags that dockershim's kubelet had itself: the CNI's directories, the sandbox image.
find_cri_dockerd() {
  unit_property cri-docker.service MainPID
  cri_dockerd_pid=$property
  case $cri_dockerd_pid in
    '' | 0)
      find_daemon cri-dockerd.service cri-dockerd
      cri_dockerd_pid=$pid
      ;;
  esac
  cri_dockerd_arguments=$(arguments_of "$cri_dockerd_pid" cri_dockerd_files)
}

show_cri_dockerd() {
  [ -n "$cri_dockerd_pid" ] || return
  printf '@@cri-dockerd-command-line\n'
  encode <"/proc/$cri_dockerd_pid/cmdline"
}

# Docker's socket: the usual one, or the one the kubelet is told of where there is no other.
find_docker_socket() {
  if [ ! -S "$DOCKER_SOCKET" ]; then
    case $(flag docker-endpoint) in unix:///*) DOCKER_SOCKET=$(flag docker-endpoint | sed 's,^unix://,,') ;; esac
  fi
}

# True where a connection to Docker's socket cannot start it.
docker_runs() {
  unit_property docker.service ActiveState
  case $property in active | reloading) return 0 ;; esac
  unit_property docker.socket ActiveState
  [ "$property" != active ] && [ -n "$(processes dockerd)" ]
}

# Sets info to what Docker says of itself, or reason to why it says nothing.
ask_docker() {
  if ! has docker; then
    reason='it runs, but the command docker (package docker-cli or docker-ce-cli) is not installed'
    client=missing
    return
  fi
  # The socket by name: a context or DOCKER_HOST could lead to another machine.
  unset DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY
  export DOCKER_HOST="unix://$DOCKER_SOCKET"
  if [ -e "$DOCKER_SOCKET" ] && [ ! -w "$DOCKER_SOCKET" ]; then
    reason="this user may not use $DOCKER_SOCKET"
    return
  fi
  info=$(t docker info --format '{"version":{{json .ServerVersion}},"root":{{json .DockerRootDir}},"storage_driver":{{json .Driver}},"cgroup_driver":{{json .CgroupDriver}},"default_runtime":{{json .DefaultRuntime}},"runtimes":{{json .Runtimes}},"live_restore":{{json .LiveRestoreEnabled}},"registry":{{json .RegistryConfig}}}')
  case $info in
    *'"version":""'* | '')
      info=
      reason="it runs, but does not answer at $DOCKER_SOCKET"
      ;;
  esac
}

show_docker() {
  docker_root=
  [ ! -r /etc/docker/daemon.json ] ||
    docker_root=$(sed -n 's/^.*"data-root"[[:space:]]*:[[:space:]]*"\([^"]*\)".*$/\1/p' /etc/docker/daemon.json | head -n 1)
  [ -n "$docker_root" ] || docker_root=/var/lib/docker
  reason=
  info=
  client=
  if docker_runs; then
    ask_docker
  elif ! has dockerd; then
    return
  fi
  printf '@@docker\n'
  if [ -z "$info" ]; then
    printf 'version %s\nclient %s\n' "$(t dockerd --version)" "$client"
    if [ -n "$reason" ]; then not_seen "Docker: $reason"; fi
    return
  fi
  printf '@@docker-info\n%s\n' "$info"
  root=$(printf '%s\n' "$info" | sed -n 's/^.*"root":"\([^"]*\)".*$/\1/p')
  [ -n "$root" ] && docker_root=$root
  printf '@@docker-containers\n'
  containers=$(t docker ps --all --quiet --no-trunc |
    inspect container '{"id":{{json .Id}},"name":{{json .Name}},"image":{{json .Config.Image}},"running":{{json .State.Running}},"started_at":{{json .State.StartedAt}},"pid":{{json .State.Pid}},"labels":{{json .Config.Labels}}}')
  [ -z "$containers" ] || printf '%s\n' "$containers"
  # What a pod's container gets from Docker is seen at a sandbox, whose program changes no limits. The newest is first.
  limits pod "$(printf '%s\n' "$containers" | grep '"running":true' | grep '"io.kubernetes.docker.type":"podsandbox"' |
    sed -n 's/^.*"pid":\([0-9]*\),"labels":.*$/\1/p' | head -n 1)"
  printf '@@docker-images\n'
  t docker images --quiet --no-trunc | sort -u |
    inspect image '{"id":{{json .Id}},"tags":{{json .RepoTags}},"digests":{{json .RepoDigests}},"size":{{json .Size}}}'
}

# The objects whose ids are on standard input, in as many calls as the length of a command line asks for.
inspect() {
  ids=$(cat)
  # shellcheck disable=SC2086
  [ -z "$ids" ] || printf '%s\n' "$ids" | xargs -n 500 $limit docker "$1" inspect --format "$2"
}

# What cron runs, a file a line: crontabs, then scripts. None bigger than 64 KiB.
cron_files() {
  set -- -maxdepth 1 -type f -size -129
  find -L /etc/crontab /etc/anacrontab /etc/cron.d /var/spool/cron /var/spool/cron/crontabs /var/spool/cron/tabs "$@"
  find -L /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly "$@" -perm -100
}

# The services of systemd with their drop-ins. Links that only enable a unit are left out.
service_files() {
  set -- /etc/systemd/system /run/systemd/system /run/systemd/generator.late /usr/local/lib/systemd/system /usr/lib/systemd/system
  if [ ! -L /lib ]; then set -- "$@" /lib/systemd/system; fi
  find -L "$@" -maxdepth 2 -type f -size -129 \( -name '*.service' -o -path '*.service.d/*.conf' \) \
    ! -path '*.wants/*' ! -path '*.requires/*' ! -path '*.upholds/*'
}

readable() { if [ -r "$1" ]; then printf '%s\n' "$1"; fi; }

# Reads files and prints, a tab between: "mention FILE LINE TEXT" for a line that mentions Docker, and "path FILE LINE PATH" for
# each path in a line. Comments and here-documents are passed over; a line that goes on is one. Of a unit only commands and
# variables count. With scripts=1 the first file is such records; the others count if they are scripts, and one that mentions
# Docker is told as "script FILE #!..." and as "called FILE BY LINE". Nothing else of a file leaves the node.
# mawk 1.3.3 knows neither character classes nor nextfile.
# shellcheck disable=SC2016 # awk's own
MENTIONS='
function finish(  rest, count, i, callers) {
  if (line == "") return
  if (!unit || line ~ /^[ \t]*(Exec[A-Za-z]*|Environment)[ \t]*=/) {
    if (line ~ /docker|DOCKER_HOST/) {
      if (!unit && !(file in told)) {
        told[file] = 1
        if (interpreter != "") print "script\t" file "\t" interpreter
        count = split(named[file], callers, "\n")
        for (i = 1; i < count && i <= 20; i++) print "called\t" file "\t" callers[i]
      }
      if (++hits <= 300) print "mention\t" file "\t" start "\t" substr(line, 1, 1000)
    }
    rest = scripts ? "" : line
    while (match(rest, /\/[A-Za-z0-9_.@+-]+(\/[A-Za-z0-9_.@+-]+)+/)) {
      print "path\t" file "\t" start "\t" substr(rest, RSTART, RLENGTH)
      rest = substr(rest, RSTART + RLENGTH)
    }
  }
  line = ""
}
scripts && NR == FNR {
  split($0, field, "\t")
  if (field[1] == "path") named[field[4]] = named[field[4]] field[2] "\t" field[3] "\n"
  next
}
FNR == 1 {
  finish()
  file = FILENAME
  terminator = ""
  unit = (!scripts && file ~ /\/systemd\//)
  interpreter = ($0 ~ /^#!/) ? substr($0, 1, 200) : ""
  shell = (interpreter ~ /sh([ \t\r]|$)/ || file ~ /\.sh$/)
  skipped = (scripts && interpreter == "" && !shell)
}
skipped { next }
terminator != "" {
  sub(/^[ \t]+/, "")
  sub(/[ \t\r]+$/, "")
  if ($0 == terminator) terminator = ""
  next
}
/^[ \t]*#/ || (unit && /^[ \t]*;/) { next }
{
  sub(/\r$/, "")
  if (line == "") start = FNR
  line = line $0
  if (length(line) < 20000 && line ~ /\\$/) {
    line = substr(line, 1, length(line) - 1) " "
    next
  }
  if (shell && line !~ /\(\(|<<</ && match(line, /<<-?[ \t]*[\042\047\\]?[A-Za-z_][A-Za-z0-9_]*/)) {
    terminator = substr(line, RSTART, RLENGTH)
    sub(/^<<-?[ \t]*[\042\047\\]?/, "", terminator)
  }
  finish()
}
END {
  finish()
  if (hits > 300) print "more\t" (hits - 300)
}'

# Sets mentions to the records of crontabs and services, and of the scripts that they name.
find_docker_mentions() {
  set -f
  IFS=$NEWLINE
  # shellcheck disable=SC2046 # one word per line
  set -- $(unset IFS && each readable "$(cron_files; service_files)")
  unset IFS
  mentions=
  if [ $# != 0 ]; then
    records=$(t awk "$MENTIONS" "$@")
    mentions=$(printf '%s\n' "$records" | grep -v '^path')
    IFS=$NEWLINE
    # shellcheck disable=SC2046
    set -- $(printf '%s\n' "$records" | grep '^path' | cut -f 4 | sort -u)
    # shellcheck disable=SC2046
    [ $# = 0 ] || set -- $(unset IFS && t find -L "$@" -maxdepth 0 -type f -size -129)
    unset IFS
    [ $# = 0 ] || mentions=$mentions$NEWLINE$(printf '%s\n' "$records" | t awk -v scripts=1 "$MENTIONS" - "$@")
  fi
  set +f
}

# Which lines of crontabs, services and of the scripts they name mention Docker, and how those services are used.
show_docker_mentions() {
  if ! has awk || ! has find; then
    not_seen 'who calls docker in crontabs and services: awk or find is not installed'
    return
  fi
  for directory in /var/spool/cron/crontabs /var/spool/cron/tabs; do
    if [ -d "$directory" ] && [ ! -r "$directory" ]; then not_seen "$directory: may not be listed by this user"; fi
  done
  find_docker_mentions
  printf '@@docker-mentions\n'
  case $mentions in *mention*) printf '%s\n' "$mentions" | encode ;; *) return ;; esac
  [ -n "$units" ] || return
  set -f
  # shellcheck disable=SC2046 # a name has no blanks; of a template the instances are asked for
  set -- $(printf '%s\n' "$mentions" | tr '\t' '\n' |
    sed -n -e 's,^/.*/systemd/[a-z.]*/\([^/]*\.service\)$,\1,p' -e 's,^/.*/systemd/[a-z.]*/\([^/]*\.service\)\.d/[^/]*$,\1,p' |
    sed 's/@\.service$/@*.service/' | sort -u)
  set +f
  [ $# != 0 ] || return
  printf '@@mentioning-units\n'
  t systemctl show --no-pager -p Id -p LoadState -p ActiveState -p UnitFileState -p FragmentPath -p DropInPaths -p TriggeredBy "$@"
}

# Network namespaces, by a process in each, in which dockerd (a pid) has accepted connections at its socket: a connection belongs
# to the namespace of whoever made it. In /proc/net/unix state 03 is a connection; the daemon of a pod has such, too.
connected_namespaces() {
  # shellcheck disable=SC2012,SC2046 # such paths have no blanks
  {
    ls -l "/proc/$1/fd" | sed -n 's/^.*socket:\[\([0-9]*\)\]$/ours \1/p'
    grep -H ' 03 .*/' $(stat -L -c '%i %n' /proc/[0-9]*/ns/net | sort -u -k 1,1 | sed 's,^[^ ]* \(.*\)/ns/net$,\1/net/unix,') /dev/null
  } | awk -v socket="$DOCKER_SOCKET" '
    $1 == "ours" { ours[$2] = 1; next }
    $7 in ours && ($8 == socket || $8 ~ /\/docker\.sock$/) && split($1, part, "/") { print "/proc/" part[3] }' | sort -u
}

# What ss -xp says in the network namespace of a process.
sockets_of() {
  if [ "$(stat -L -c %i "$1/ns/net")" = "$(stat -L -c %i /proc/self/ns/net)" ]; then
    t ss -xp
  else
    t nsenter --net="$1/ns/net" ss -xp
  fi
}

# The processes at the other end, from what ss -xp printed: the two ends of a connection know each other's number,
# "u_str ESTAB 0 0 /run/docker.sock 11 * 12 users:(...)".
connected_to() {
  awk -v daemon="$1" -v socket="$DOCKER_SOCKET" '
    $1 !~ /^u_/ { users[number] = users[number] $0; next } # the name of a process may have line ends
    { number = $6; users[number] = $0 }
    $2 == "ESTAB" && ($5 == socket || $5 ~ /\/docker\.sock$/) && index($0, "pid=" daemon ",") { wanted[$8] = 1 }
    END {
      for (number in wanted) {
        count = split(users[number], parts, "pid=")
        for (i = 2; i <= count; i++) print parts[i] + 0
      }
    }'
}

# Who is connected to Docker's socket. Nobody connects to it for that, so a Docker that sleeps is not woken. A probe's own calls
# of docker are left out.
show_docker_clients() {
  [ -n "$dockerd_pid" ] || return
  if [ "${user:=$(id -u)}" != 0 ] || ! has ss || ! has nsenter || ! has awk; then
    not_seen 'who is connected to the socket of Docker: that takes root, ss (iproute2) and nsenter (util-linux)'
    return
  fi
  printf '@@docker-clients\n'
  for pid in $(for process in $(connected_namespaces "$dockerd_pid"); do
    sockets_of "$process" | connected_to "$dockerd_pid"
  done | sort -u -n); do
    if tr '\n\0' ' \n' <"/proc/$pid/environ" | grep -q '^UNSHIM_PROBE='; then continue; fi
    name=$(tr -d '\000-\037\177' <"/proc/$pid/comm")
    [ -n "$name" ] || continue
    printf '@@docker-client %s\nname %s\n' "$pid" "$name"
    tr -d '\r' <"/proc/$pid/cgroup" | sed 's/^/cgroup /'
  done
}

# Who may use Docker without being root: by the group's line, and by having it as the first group.
show_docker_group() {
  line=$(grep '^docker:' /etc/group) || return
  printf '@@docker-group\n'
  { printf '%s\n' "$line" | cut -d : -f 4 | tr , '\n' && grep "^[^:]*:[^:]*:[^:]*:$(printf '%s\n' "$line" | cut -d : -f 3):" /etc/passwd |
    cut -d : -f 1; } | sed -n 's/^[A-Za-z0-9_]/member &/p' | sort -u
}

# The data directory containerd is set to, imported files included. It is asked only where a file could say another than the
# usual one; containerd 2.2 and newer import conf.d unasked.
find_containerd_root() {
  containerd_root=/var/lib/containerd
  set -- /etc/containerd/conf.d/*.toml
  if [ ! -e "$1" ] && ! grep -q -e '^[^#]*root' -e '^[^#]*imports' /etc/containerd/config.toml; then return; fi
  for words in "t $containerd config dump" "cat /etc/containerd/config.toml"; do
    # shellcheck disable=SC2086 # a command
    containerd_root=$($words | sed -n -e '/^[[:space:]]*\[/q' -e 's/^[[:space:]]*root[[:space:]]*=[[:space:]]*["'"'"']\([^"'"'"']*\).*$/\1/p' | tail -n 1)
    [ -z "$containerd_root" ] || return 0
  done
  containerd_root=/var/lib/containerd
}

names_sandbox_image() { grep -q '^[[:space:]]*sandbox\(_image\)\{0,1\}[[:space:]]*=[[:space:]]*["'"'"'][^"'"'"']' "$1"; }

show_containerd() {
  find_daemon containerd.service containerd
  containerd=$(program "$pid" containerd)
  [ -n "$containerd" ] || return
  socket=$(sed -n '/^\[grpc\]/,/^\[/s/^[[:space:]]*address[[:space:]]*=[[:space:]]*["'"'"']\(.*\)["'"'"'].*$/\1/p' /etc/containerd/config.toml)
  [ -n "$socket" ] || socket=/run/containerd/containerd.sock
  limits containerd "$pid"
  dockerd=$(processes dockerd)
  limits dockerd "${dockerd%%"$NEWLINE"*}"
  if [ -n "$units" ]; then
    # The process' own soft limit of open files is no guide: Go programs raise theirs, and start others with the first.
    printf '@@unit-limits\n'
    t systemctl show --no-pager containerd.service | sed -n 's/^Limit//p'
  fi
  printf '@@containerd\nbinary %s\nsocket %s\nversion %s\n' "$containerd" "$socket" "$(t "$containerd" --version)"
  find_containerd_root
  printf 'root %s\n' "$containerd_root"
  # A node that was moved has its own, and the default costs a start of containerd.
  names_sandbox_image /etc/containerd/config.toml ||
    t "$containerd" config default | sed -n 's/^[[:space:]]*\(sandbox\|sandbox_image\)[[:space:]]*=[[:space:]]*/sandbox /p'
  # What containerd starts a container's description from; the daemon is not asked for it.
  if spec=$(t ctr oci spec) && [ -n "$spec" ]; then
    printf '@@oci-spec\n'
    printf '%s\n' "$spec" | encode
  fi
  [ -S "$socket" ] || return
  if [ ! -w "$socket" ]; then
    not_seen "containerd: this user may not use $socket"
    return
  fi
  if ! has ctr; then
    not_seen 'containerd: the command ctr is not installed'
    return
  fi
  if ! plugins=$(t ctr --address "$socket" plugins ls); then
    not_seen "containerd: it does not answer at $socket"
    return
  fi
  printf '@@containerd-plugins\n%s\n' "$plugins"
  printf '@@containerd-images\n'
  t ctr --address "$socket" --namespace k8s.io images ls --quiet
  for namespace in $({ printf 'k8s.io\nmoby\n' && t ctr --address "$socket" namespaces ls --quiet; } | sort -u); do
    printf '@@containerd-tasks %s\n' "$namespace"
    t ctr --address "$socket" --namespace "$namespace" tasks ls
  done
}

# The values of the keys that name programs, wherever they stand in a JSON text.
json_programs() {
  set -- '[[:space:]]*:[[:space:]]*"[^"]*"'
  tr '\n' ' ' | grep -o -e "\"path\"$1" -e "\"runtimeType\"$1" -e "\"default-runtime\"$1" | sed 's/^.*"\([^"]*\)"$/\1/'
}

# One "PATH NAME" a line, "-" for PATH where there is no such program.
locate() {
  found=$(command -v "$1")
  case $found in /*) ;; *) found=- ;; esac
  printf '%s %s\n' "$found" "$1"
}

# The programs of container runtimes that Docker or containerd is told of.
show_programs() {
  printf '@@programs\n'
  [ -r /etc/docker/daemon.json ] || return 0
  each locate "$(
    { cat /etc/docker/daemon.json && printf '%s\n' "$info"; } | json_programs |
      # Where a shim is named by its type, io.containerd.kata.v2 is containerd-shim-kata-v2.
      sed 's/^io\.containerd\.\([^.]*\)\.\([^.]*\)$/containerd-shim-\1-\2/' | sort -u
  )"
}

# The units' own files and the environment files they name.
show_unit_files() {
  paths=$(for unit in $UNITS; do unit_files "$unit"; done)
  each file "$paths"
  each file "$(with_lines "$(each readable "$paths")" environment_files)"
}

show_kubelet_files() {
  each file "$(kubelet_files)"
  config=$(flag config)
  file "${config:-/var/lib/kubelet/config.yaml}"
  file /var/lib/kubelet/instance-config.yaml
  directory=$(flag config-dir)
  if [ -n "$directory" ]; then files_in "$directory" '*.conf'; fi
  directory=$(flag pod-manifest-path)
  config=${config:-/var/lib/kubelet/config.yaml}
  if [ -z "$directory" ] && [ -r "$config" ]; then
    directory=$(sed -n 's/^staticPodPath:[[:space:]]*//p' "$config" | tr -d "\"'\r")
  fi
  # As the kubelet does (pkg/kubelet/config/file.go): whatever it is called, a copy like "x.yaml.bak" included.
  files_in "${directory:-/etc/kubernetes/manifests}" '[!.]*'
  for directory in /etc/cni/net.d "$(flag cni-conf-dir)" "$(shim_flag cni-conf-dir)"; do
    [ -n "$directory" ] || continue
    files_in "$directory" '*.conf'
    files_in "$directory" '*.conflist'
    files_in "$directory" '*.json'
    for entry in "$directory"/*; do # what else is there may be a network add-on's kubeconfig
      if [ -f "$entry" ]; then file "$entry" metadata; fi
    done
  done
}

# Files a TOML file imports: relative to itself, patterns allowed, the list may span lines.
imported_files() {
  sed 's/#.*$//' "$1" |
    sed -n -e '/^[[:space:]]*imports[[:space:]]*=/!d' -e ':more' -e '/\]/!{' -e 'N' -e 'b more' -e '}' -e 's/\].*$//' -e 'p' |
    tr "'," '"\n' | sed -n 's/^[^"]*"\([^"]*\)".*$/\1/p' |
    while read -r pattern; do
      case $pattern in /*) ;; *) pattern=${1%/*}/$pattern ;; esac
      # shellcheck disable=SC2086
      printf '%s\n' $pattern
    done
}

# Directories of hosts.toml files that containerd is configured with, besides the usual one.
registry_directories() {
  printf '/etc/containerd/certs.d\n'
  [ -r /etc/containerd/config.toml ] || return 0
  sed -n "s/^[[:space:]]*config_path[[:space:]]*=[[:space:]]*[\"']\([^\"']*\)[\"'].*$/\1/p" /etc/containerd/config.toml | tr : '\n'
}

show_runtime_files() {
  file /etc/docker/daemon.json
  if [ -n "$daemon_json" ]; then file "$daemon_json"; fi
  registry_files /etc/docker/certs.d
  each logins "$(login_files)"
  file /etc/containerd/config.toml
  file /etc/containerd/unshim-base-spec.json
  files_in /usr/local/sbin 'unshim-runtime-*'
  if grep -q '^[^#]*imports' /etc/containerd/config.toml; then each file "$(imported_files /etc/containerd/config.toml)"; fi
  files_in /etc/containerd/conf.d '*.toml'
  each registry_files "$(registry_directories)"
  file /etc/crictl.yaml
  file "${socket:-/run/containerd/containerd.sock}" metadata
  file /run/flannel/subnet.env
  for directory in /etc /run /usr/local/lib /usr/lib; do
    files_in "$directory/modules-load.d" '*.conf'
    files_in "$directory/sysctl.d" '*.conf'
  done
  file /var/lib/unshim/journal.json
  if [ -e /var/lib/unshim/journal.json.previous ]; then file /var/lib/unshim/journal.json.previous; fi
}

# Where a directory is, or will be once it is there.
place_of() {
  existing=$1
  while [ ! -d "$existing" ]; do
    existing=${existing%/*}
    [ -n "$existing" ] || existing=/
  done
  printf '%s\n' "$existing"
}

# A line of df per line of a text, "-" where it has none.
sizes_of() {
  sizes=$(with_lines "$1" t df -Pk | sed 1d)
  # Where one has none, df leaves out its line.
  [ "$(with_lines "$sizes" number_of)" = "$(with_lines "$1" number_of)" ] || sizes=$(each size_of "$1")
  printf '%s\n' "$sizes"
}

number_of() { printf '%s' $#; }

size_of() {
  used=$(t df -Pk "$1" | sed -n '$p')
  printf '%s\n' "${used:--}"
}

# Sets mounted_on to the last word of a line of df.
mount_point() {
  mounted_on=${1##*[0-9]%}
  mounted_on=${mounted_on#"${mounted_on%%[! ]*}"}
}

add_mount_point() {
  mount_point "$1"
  case $mounted_on in / | -) return ;; esac
  case $NEWLINE$mount_points in *"$NEWLINE$mounted_on$NEWLINE"*) ;; *) mount_points=$mount_points$mounted_on$NEWLINE ;; esac
}

# Sets mount_units to the mount points that some lines of df name, each before its unit's file, if it has one.
find_mount_units() {
  mount_units=
  if [ -z "$units" ] || ! has systemd-escape; then return; fi
  mount_points=
  each add_mount_point "$1"
  # shellcheck disable=SC2046 # systemd separates the names by spaces
  set -- $(with_lines "$mount_points" systemd-escape -p --suffix=mount)
  [ $# != 0 ] || return 0
  shown=$(t systemctl show --no-pager -p Id -p FragmentPath -- "$@") # Id comes first
  set -f
  IFS=$NEWLINE
  for point in $mount_points; do
    for line in $shown; do
      case $line in
        Id=*) name=${line#Id=} ;;
        FragmentPath=*) [ "$name" != "$1" ] || mount_units=$mount_units$NEWLINE$point\ ${line#FragmentPath=}$NEWLINE ;;
      esac
    done
    shift
  done
  unset IFS
  set +f
}

# The unit's file behind a mount point: mount_unit /srv
mount_unit() {
  case $mount_units in *"$NEWLINE$1 "*) ;; *) return ;; esac
  unit=${mount_units#*"$NEWLINE$1 "}
  printf '%s' "${unit%%"$NEWLINE"*}"
}

# Sets what there is to know of a mount point, from /proc/mounts and the programs of its file system.
find_mount() {
  type=
  details=
  read_only=
  set -f
  IFS=$NEWLINE
  for mount in $mounts; do
    case $mount in
      *" $1 "*)
        type=${mount#* }
        type=${type#* }
        options=${type#* }
        type=${type%% *}
        case $mount in "${mount%% *} $1 "*) case $options in ro[,\ ]*) read_only=${NEWLINE}read-only\ yes ;; esac ;; esac
        ;;
    esac
  done
  unset IFS
  set +f
  if [ "$type" = xfs ]; then details=${NEWLINE}ftype\ $(t xfs_info "$1" | sed -n 's/^.*ftype=\([01]\).*$/\1/p'); fi
  if [ -n "$units" ] && has systemd-escape; then details=$details${NEWLINE}mount-unit\ $(mount_unit "$1"); fi
  details=$details$read_only
}

# The file system a directory is on: show_mount DIRECTORY LINE-OF-DF
show_mount() {
  [ "$2" != - ] || return 0
  mount_point "$2"
  if [ "$mounted_on" != "$known_mount" ]; then
    find_mount "$mounted_on"
    known_mount=$mounted_on
  fi
  printf '@@mount %s\ntype %s\ndf %s%s\n' "$1" "$type" "$2" "$details"
}

# Adds to data_mounts where a program's data could lie: neither the kernel's own nor those of containers and pods. A network's
# is not asked for its size, for a server that is away would never answer.
find_data_mount() {
  directory=${1#* }
  type=${directory#* }
  directory=${directory%% *}
  type=${type%% *}
  case $directory in
    "$docker_root"/* | /var/lib/containerd/* | "${containerd_root:-/var/lib/containerd}"/* | /var/lib/kubelet/* | /var/lib/docker/*) return ;;
    */io.containerd.*/* | /run/containerd/* | /run/docker/*) return ;; # root file systems of containers that run, a pod's /dev/shm
    /proc/* | /sys/* | /dev/* | *\\*) return ;;
  esac
  case $type in
    nfs* | cifs | smb* | ceph | glusterfs | lustre | 9p | fuse.*) printf '@@mount %s\ntype %s\n' "$directory" "$type" ;;
    ext[234] | xfs | btrfs | zfs | f2fs | jfs | reiserfs | bcachefs | tmpfs | overlay)
      if [ -d "$directory" ]; then data_mounts=$data_mounts$NEWLINE$directory; fi
      ;;
  esac
}

# The node's addresses that others know it by: those of bridges, tunnels and services are not among them.
show_addresses() {
  printf '@@addresses\n'
  if has ip; then
    ip -o addr show scope global | while read -r _ interface family address rest; do
      case $interface in
        docker* | br-* | veth* | cni* | flannel* | cali* | tunl* | vxlan* | cilium* | lxc* | kube-* | nodelocaldns* | \
          virbr* | weave* | dummy*) continue ;;
      esac
      case $family in inet | inet6) ;; *) continue ;; esac
      case $rest in *' temporary '* | *' deprecated '*) continue ;; esac
      printf 'address %s\n' "${address%/*}"
    done
  else
    hostname -I | tr ' ' '\n' | sed -n 's/^[0-9a-f]/address &/p'
  fi
}

show_mounts() {
  mounts=$(cat /proc/mounts)
  data_mounts=
  each find_data_mount "$mounts"
  directories=$(printf '%s\n' "$docker_root" "${containerd_root:-/var/lib/containerd}" /var/lib/containerd /var/lib/kubelet / \
    /var/lib/unshim)$data_mounts
  sizes=$(sizes_of "$(each place_of "$directories")")
  find_mount_units "$sizes"
  known_mount=
  set -f
  IFS=$NEWLINE
  # shellcheck disable=SC2086 # one word per line
  set -- $sizes
  for directory in $directories; do
    unset IFS
    show_mount "$directory" "$1"
    shift
  done
  unset IFS
  set +f
}

cni_plugins() {
  [ -d "$1" ] || return
  printf '@@cni-plugins %s\n' "$1"
  for entry in "$1"/*; do
    if [ -f "$entry" ] && [ -x "$entry" ]; then printf '%s\n' "${entry##*/}"; fi
  done
}

existing_directory() {
  existing=${1%/*}
  while [ -n "$existing" ] && [ ! -d "$existing" ]; do existing=${existing%/*}; done
  printf '%s\n' "${existing:-/}"
}

# What would keep root from replacing a file that was looked at, and the directories new files could come into.
show_obstacles() {
  [ "${user:=$(id -u)}" = 0 ] || return
  printf '@@obstacles\n'
  IFS=$NEWLINE
  # shellcheck disable=SC2086 # one word per line
  set -- $files_done
  unset IFS
  targets=
  for path in "$@"; do
    if [ -L "$path" ]; then path=$(readlink -f "$path"); fi
    if [ -e "$path" ]; then targets=$targets$NEWLINE$path; fi
  done
  directories=$(
    {
      each existing_directory "$files_done$targets"
      for path in /etc/containerd /etc/systemd/system /etc/modules-load.d /etc/sysctl.d /etc /var/lib; do
        if [ -d "$path" ]; then printf '%s\n' "$path"; fi
      done
    } | sort -u
  )
  IFS=$NEWLINE
  for path in $directories; do
    if [ -w "$path" ]; then printf 'writable %s\n' "$path"; else printf 'read-only %s\n' "$path"; fi
  done
  while IFS=' ' read -r _ point _; do
    case $targets$NEWLINE in *"$NEWLINE$point$NEWLINE"*) [ -d "$point" ] || printf 'mounted %s\n' "$point" ;; esac
  done </proc/mounts
  # shellcheck disable=SC2086
  set -- $directories $targets
  unset IFS
  t lsattr -d "$@" | sed -n -e 's/^[^ ]*i[^ ]* \{1,\}/immutable /p' -e t -e 's/^[^ ]*a[^ ]* \{1,\}/append-only /p'
}

show_cni_plugins() {
  directories=$(printf '%s\n' /opt/cni/bin /usr/lib/cni /usr/libexec/cni)
  given=$(flag cni-bin-dir),$(shim_flag cni-bin-dir)
  [ "$given" = , ] || directories=$(printf '%s\n' "$directories" "$given" | tr , '\n' | sort -u)
  each cni_plugins "$directories"
}

main() {
  unset IFS
  LC_ALL=C
  PATH=${PATH:-/usr/bin:/bin}:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin
  UNSHIM_PROBE=1 # by this the calls of docker of one probe are known to another
  export LC_ALL PATH UNSHIM_PROBE
  files_done=$NEWLINE
  files_closed=
  printf '@@unshim-probe 1\n'
  find_timeout
  wait_for_modules
  show_system
  show_kernel
  find_units
  find_daemons
  show_packages
  show_archives
  find_kubelet
  show_kubelet
  find_docker_socket
  show_docker
  find_dockerd
  show_dockerd
  find_cri_dockerd
  show_cri_dockerd
  show_docker_clients
  show_docker_group
  show_docker_mentions
  show_containerd
  show_programs
  show_kubelet_files
  show_unit_files
  show_runtime_files
  show_files
  show_addresses
  show_mounts
  show_obstacles
  show_cni_plugins
  printf '@@unshim-probe-end\n'
}

main </dev/null 2>/dev/null
