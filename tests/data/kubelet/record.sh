#!/bin/sh
# Ask a real kubelet about the flags in compat.KUBELET_FLAGS: record.sh KUBELET >flags-VERSION.txt
# One line per flag: its name, then "unknown", "boolean" or "value" (whether it takes the next word), or "hidden" for one that
# is taken and not in --help. The kubelet is not started: it is given --version or --help as well.
set -eu
kubelet=$1
cd "$(dirname "$0")/../../.."
help=$("$kubelet" --help 2>/dev/null)
PYTHONPATH=module_utils "${PYTHON:-python3}" -c 'from unshim import compat; print(*(row.name for row in compat.KUBELET_FLAGS))' |
  tr ' ' '\n' | while read -r flag; do
  line=$(printf '%s\n' "$help" | sed -n "s/^ *\(-., \)\{0,1\}--$flag\( [a-z]\| \{3\}\).*/\2/p")
  case $line in
    '   ') printf '%s boolean\n' "$flag" ;;
    ' '?) printf '%s value\n' "$flag" ;;
    *)
      case $("$kubelet" "--$flag=/" --version 2>&1 || true) in
        *'unknown flag'*) printf '%s unknown\n' "$flag" ;;
        *) printf '%s hidden\n' "$flag" ;;
      esac
      ;;
  esac
done
