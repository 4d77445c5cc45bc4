#!/bin/sh
# Record a node: record.sh CASE COMMAND..., where COMMAND runs the shell script on its standard input on the node.
#   record.sh dockershim-worker docker exec -i unshim-w1 sh -s
#   record.sh plain-user docker exec -i unshim-w1 su daemon -s /bin/sh -c "sh -s"
# What names a machine rather than a kind of node (the kernel's build, process 1 of a sandbox) is made neutral, nothing else.
set -eu
case_name=$1
shift
here=$(dirname "$0")
"$@" <"$here/../../../module_utils/unshim/probe.sh" |
  sed -e 's/^\(kernel [0-9.]*\)-.*/\1-lab/' -e '/^hostname vm$/s/vm/workstation/' -e 's/^init [a-z]*_api$/init sandbox/' \
    >"$here/$case_name.probe"
