#!/usr/bin/env bash
# unshim with the oldest ansible-core that pyproject.toml allows and the newest there is, each installed as docs/install.md says:
# from a copy of the tree, without the bundle of collections that the lab has. `make test-full` calls it. The virtual
# environments stay in the cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=molecule/_lab/host/lib.sh
. molecule/_lab/host/lib.sh
declared=$(sed -nE 's/^ *"ansible-core>=([0-9.]+)",$/\1/p' pyproject.toml)
[ -n "$declared" ] || die "pyproject.toml: no line of the form \"ansible-core>=X.Y\","
unset UNSHIM_FULL # more examples would say no more about Ansible
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What runs a controller's code without a lab: actions, filters, the callback, playbooks, and modules on this machine.
TESTS=(
  tests/unit/dind/test_actions.py tests/unit/node/test_modules.py tests/unit/node_compat/test_node_compat_action.py
  tests/unit/observe/test_runtime_facts_action.py tests/unit/plan/test_migration_plan_action.py tests/unit/playbooks tests/unit/progress
  tests/unit/report/test_report_playbook.py tests/unit/rollout/test_filters.py tests/unit/workloads/test_action.py
)

TOOLS=(ansible-runner==2.4.3 ansible-builder==3.2.0)

# The oldest Python that the project takes for the oldest ansible-core, the newest here for the newest.
interpreter() {
  local minor candidate
  for minor in "$@"; do
    for candidate in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python3; do
      if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        "$candidate" -c 'import sys; print(sys.executable)'
        return
      fi
    done
  done
  die "none of Python 3.$(printf '%s ' "$@")is here"
}

pinned() { grep -E "^($(tr ' ' '|' <<<"$*"))==" requirements.txt; }

install() {
  local venv=$1 python=$2 core=$3
  rm -rf "$venv"
  "$python" -m venv "$venv"
  mapfile -t for_tests < <(pinned pytest hypothesis jsonschema pyte)
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$core" "$work/tree" "${TOOLS[@]}" "${for_tests[@]}"
  touch "$venv/.complete"
}

# A plan of this machine. It is a Kubernetes node hardly ever: then the planner has to say so, and nothing else may be wrong.
plan_was_made() {
  local log=$1
  grep -q 'PLAN for localhost' "$log" && ! grep -q 'Traceback' "$log" &&
    { grep -Eq 'localhost +: .*failed=0' "$log" || grep -q 'localhost cannot be moved yet' "$log"; }
}

try() (
  # The interpreter is named: what Ansible finds by itself may be a pyenv shim of a version that is not active.
  export ANSIBLE_PYTHON_INTERPRETER="$1/bin/python"
  export PATH="$1/bin:$PATH" ANSIBLE_CONFIG="$work/tree/ansible.cfg" ANSIBLE_NOCOLOR=1 COLUMNS=200
  cd "$work/tree"
  ansible --version | sed -n 1p
  ansible-playbook --syntax-check -i "$work/inventory" playbooks/*.yml >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  unshim-scan --help >/dev/null
  # Of what pip installed, not of the copy.
  (cd / && python -c 'import importlib.metadata as m, unshim; assert m.version("unshim") == unshim.__version__, m.version("unshim")')
  find library -name '*.py' -printf '%f\n' | sed 's/\.py$//' | xargs ansible-doc --json --type module --module-path library >/dev/null
  python -m pytest -q -p no:cacheprovider "${TESTS[@]}"
  ansible-playbook -i "$work/inventory" playbooks/plan.yml --check >"$work/log" 2>&1 || true
  plan_was_made "$work/log" || { echo "plan.yml:"; cat "$work/log"; exit 1; }
  # As AWX and Ansible Automation Platform run it, without a container around it.
  ansible-runner run "$work/runner" --project-dir "$work/tree" --inventory "$work/inventory" --playbook playbooks/plan.yml \
    --cmdline=--check --ident "$(basename "$1")" >"$work/log" 2>&1 || true
  plan_was_made "$work/log" || { echo "plan.yml by ansible-runner:"; cat "$work/log"; exit 1; }
  ansible-builder create --file execution-environment.yml --context "$work/image" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  find "$work/runner/artifacts/$(basename "$1")/job_events" -name '*.json' | grep -q .
)

mkdir -p "$work/tree" "$work/runner/env" "$work/inventory" "$CACHE_DIR"
git ls-files --cached --others --exclude-standard -z | xargs -0 cp --parents --target-directory="$work/tree"
[ "$(id -u)" -ne 0 ] || become=false
printf 'kube_node:\n  hosts:\n    localhost: {ansible_connection: local, ansible_become: %s}\n' "${become:-true}" >"$work/inventory/hosts.yml"

oldest=$(interpreter 11 12 13)
newest=$(interpreter 13 12)
for end in "oldest $oldest ansible-core==$declared.0" "newest $newest ansible-core"; do
  read -r name python core <<<"$end"
  # A new release of ansible-core comes with the next change of anything else; `rm` the directory to have it now.
  venv=$CACHE_DIR/ansible-range-$name-$(content_tag "$python" "$core" "${TOOLS[*]}" pyproject.toml requirements.txt)
  [ -e "$venv/.complete" ] || with_progress "$name ansible-core" install "$venv" "$python" "$core"
  try "$venv"
done
