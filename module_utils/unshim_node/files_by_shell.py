"""What :mod:`files` does by system calls, done by a shell and coreutils, for a node that is not this machine.

Each function is one command there and has the name, arguments and result of its like. Content travels as base64, in by standard
input, since a command line can be read by every user of the node.
"""

import base64
import os
import shlex

from . import commands, files, place
from .errors import NodeError

TIMEOUT = 120  # s; a sync may wait for a slow disk
NOT_THERE = 44  # a return code of ours

DIRECTORIES = """
existing() { d=$(dirname -- "$1"); while [ ! -e "$d" ] && [ ! -L "$d" ]; do d=$(dirname -- "$d"); done; printf '%s' "$d"; }
# A link that is neither root's nor ours could be planted, to have root write where it leads. Directories are not looked at.
final() {
  p=$1 n=0
  while [ -L "$p" ]; do
    owner=$(stat -c %u -- "$p")
    [ "$owner" = 0 ] || [ "$owner" = "$(id -u)" ] || { echo "$p: it is a symlink that belongs to user $owner" >&2; exit 1; }
    n=$((n + 1)); [ "$n" -le 40 ] || { echo "$1: Too many levels of symbolic links" >&2; exit 1; }
    t=$(readlink -- "$p")
    case $t in /*) p=$t ;; *) p=$(dirname -- "$p")/$t ;; esac
  done
  if [ "$n" -gt 0 ]; then readlink -m -- "$p"; else printf '%s' "$1"; fi
}
missing() {
  d=$(dirname -- "$1") m=
  while [ ! -d "$d" ]; do
    m="$d
$m" d=$(dirname -- "$d")
  done
  printf '%s' "$m"
}
# Before coreutils 8.24 (2015) sync takes no file and syncs everything, which is right, too.
flush() { sync -- "$1" 2>/dev/null || sync; }
"""

KIND = """
if [ -f "$1" ]; then echo file; elif [ -d "$1" ]; then echo directory; elif [ -S "$1" ]; then echo socket
elif [ -e "$1" ]; then echo other; fi
"""

READ = '[ -e "$1" ] || exit %d; exec base64 <"$1"' % NOT_THERE

# The content is complete, or nothing is renamed: a connection that breaks ends it early. What the old file had beside its
# content is taken over while the new one is empty, since that opens it as far as the old one was.
WRITE = (
    DIRECTORIES
    + """
set -e
umask 077
target=$(final "$1")
directory=$(dirname -- "$target")
made=$(missing "$target")
printf '%s\\n' "$made" | while IFS= read -r one; do
  [ -z "$one" ] || { mkdir -m 755 -- "$one" && flush "$(dirname -- "$one")"; }
done
rm -f -- "$directory"/@unfinished@*
new=$(mktemp "$directory/@unfinished@XXXXXXXX")
trap 'rm -f -- "$new"' EXIT
trap 'exit 1' HUP INT TERM
labels=
if [ "$5" = keep ] && [ -e "$target" ]; then
  cp --attributes-only --preserve=mode,xattr -- "$target" "$new" 2>/dev/null || :
  chmod 600 -- "$new"
  [ ! -e /sys/fs/selinux/enforce ] || chcon --reference="$target" -- "$new" 2>/dev/null || :
elif [ ! -e "$target" ]; then
  labels=new
fi
base64 -d >"$new"
[ "$(stat -c %s -- "$new")" = "$6" ] || { echo "only a part of it arrived" >&2; exit 1; }
chown -- "$3:$4" "$new"
chmod -- "$2" "$new"
flush "$new"
mv -f -T -- "$new" "$target"
trap - EXIT
flush "$directory"
if [ -n "$labels" ] && [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null; then
  first=$(printf '%s\\n' "$made" | head -n 1)
  restorecon -R "${first:-$target}" "$target" || :
fi
printf '%s' "$made"
"""
).replace("@unfinished@", files.UNFINISHED)

OBSTACLE = (
    DIRECTORIES
    + """
say() { printf '%s\\n%s\\n' "$1" "$d"; exit 0; }
flags() { lsattr -d -- "$1" 2>/dev/null | cut -d ' ' -f 1; }
d=$(existing "$1")
[ -d "$d" ] || say no-directory
case ",$(findmnt -n -o OPTIONS -T "$d" 2>/dev/null)," in *,ro,*) say read-only ;; esac
case $(flags "$d") in *i*) say immutable-directory ;; esac
[ -w "$d" ] && [ -x "$d" ] || say no-permission
if [ -e "$1" ] || [ -L "$1" ]; then
  [ -f "$1" ] && [ ! -L "$1" ] || say not-regular
  while read -r _ _ _ _ point _; do [ "$(printf '%b' "$point")" != "$1" ] || say mounted; done </proc/self/mountinfo
  case $(flags "$1") in *[ia]*) say immutable ;; esac
fi
say ''
"""
)


def kind(path):
    return _said(path, KIND, path).strip()


def status(path):
    words = _said(path, 'stat -L -c "%a %u %g %s" -- "$1"', path).split()
    return files.Status(int(words[0], 8), *(int(word) for word in words[1:]))


def link_target(path):
    said = _said(path, 'if [ -L "$1" ]; then readlink -- "$1"; fi', path)
    return said[:-1] if said else None


def real_path(path):
    return _said(path, 'readlink -m -- "$1"', path)[:-1]


def names(directory):
    said = _said(directory, '[ ! -d "$1" ] || ls -A -- "$1"', directory)
    return sorted(said.splitlines())


def matching(pattern):
    # The pattern is the shell's to expand, anything else in it is not.
    quoted = "".join(one if one in "*?[]" else shlex.quote(one) for one in pattern)
    said = _said(pattern, 'for one in %s; do [ ! -e "$one" ] || printf "%%s\\n" "$one"; done' % quoted)
    return sorted(said.splitlines())


def read_bytes(path):
    result = _run(READ, path)
    if result.rc == NOT_THERE:
        return None
    return base64.b64decode(_checked(path, result))


def final_path(path):
    return _said(path, DIRECTORIES + 'final "$1"', path).rstrip("\n")


def missing_directories(path):
    path = os.path.abspath(path)
    return _said(path, DIRECTORIES + 't=$(final "$1") || exit; missing "$t"', path).splitlines()


def read_attributes(path):
    """Without getfattr there are none known."""
    script = (
        'if command -v getfattr >/dev/null; then getfattr --absolute-names -d -m - -e base64 -- "$1" 2>/dev/null; fi; :'
    )
    lines = [line.partition("=") for line in _said(path, script, path).splitlines() if not line.startswith("#")]
    return {name: base64.b64decode(value[2:]) for name, _, value in lines if value.startswith("0s")}


def write_atomically(path, data, mode, uid, gid, attributes=None):
    """Attributes are those of the old file or, given any, none: only a rollback gives some, and it runs on the node."""
    path = os.path.abspath(path)
    content = base64.encodebytes(data).decode("ascii")
    keep = "keep" if attributes is None else ""
    made = _said(path, WRITE, path, "%04o" % mode, uid, gid, keep, len(data), stdin=content)
    return made.splitlines()


def remove_unfinished(path):
    script = DIRECTORIES + 't=$(final "$1") || exit; rm -f -- "$(dirname -- "$t")"/%s*' % files.UNFINISHED
    _run(script, path)


def remove(path):
    script = DIRECTORIES + (
        't=$(final "$1") || exit; { [ -e "$t" ] || [ -L "$t" ]; } || exit %d; unlink "$t" && flush "$(dirname -- "$t")"'
        % NOT_THERE
    )
    result = _run(script, path)
    if result.rc == NOT_THERE:
        return False
    _checked(path, result)
    return True


def remove_directory(path):
    return _run('rmdir -- "$1"', path).rc == 0


def make_directories(directories):
    script = DIRECTORIES + (
        'while [ "$#" -gt 1 ]; do [ -d "$1" ] || mkdir -m "$2" -- "$1" || exit; flush "$(dirname -- "$1")"; shift 2; done'
    )
    if directories:
        arguments = [word for path, mode in directories for word in (path, "%04o" % mode)]
        _said(directories[-1][0], script, *arguments)


def rename(path, new):
    _said(path, 'mv -f -T -- "$1" "$2"', path, new)


def set_link(path, target):
    script = (
        DIRECTORIES
        + 'ln -sfn -- "$2" "$1.unshim-link" && mv -f -T -- "$1.unshim-link" "$1" && flush "$(dirname -- "$1")"'
    )
    _said(path, script, path, target)


def write_kernel(path, value):
    result = _run('printf %s "$2" >"$1"', path, value)
    return "" if result.rc == 0 else commands.last_lines(result.err, 1).rpartition(": ")[2]


def make_temporary_directory():
    return _said("/tmp", "mktemp -d /tmp/unshim-XXXXXXXX").strip()


def remove_tree(path):
    _run('rm -rf -- "$1"', path)


def own_ids():
    there = place.away()
    if "own ids" not in there.found:
        uid, gid = _said("id", "id -u; id -g").split()
        there.found["own ids"] = (int(uid), int(gid))
    return there.found["own ids"]


def sync_directory(path):
    _said(path, DIRECTORIES + 'flush "$1"', path)


def space(path):
    words = _said(
        path, DIRECTORIES + 'd=$(existing "$1"); stat -c %d -- "$d"; stat -f -c "%a %S" -- "$d"', path
    ).split()
    return int(words[0]), int(words[1]) * int(words[2])


def find_obstacle(path):
    lines = _said(path, OBSTACLE, path).split("\n")
    return lines[0], lines[1]


def number_of(name, kind):
    database = "passwd" if kind == "user" else "group"
    words = _run('getent -- "$1" "$2"', database, name).out.split(":")
    return int(words[2]) if len(words) > 2 else None


def _run(script, *arguments, stdin=None):
    argv = ["/bin/sh", "-c", script.strip(), "sh"] + [str(one) for one in arguments]
    return commands.run(argv, stdin=stdin, timeout=TIMEOUT, check=False)


def _said(path, script, *arguments, stdin=None):
    return _checked(path, _run(script, *arguments, stdin=stdin))


def _checked(path, result):
    """Return what was printed; NodeError in the words of the program that failed, which follow the last ": " of its line."""
    if result.rc != 0:
        said = commands.last_lines(result.err, 1).rpartition(": ")[2] or "the shell returned %d" % result.rc
        raise NodeError("%s: %s." % (path, said))
    return result.out
