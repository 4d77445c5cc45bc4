#!/usr/bin/python
"""Ansible module: read the journal of a node's migration, and note what happens to the node as a whole."""

DOCUMENTATION = r"""
---
module: migration_journal
short_description: Read and write the journal of a node's migration
description:
  - Returns the journal a node keeps of its move from Docker to containerd, after noting what is asked.
  - Without options other than O(journal_root) it only reads.
author: unshim contributors
options:
  state:
    description:
      - The state the node has reached. A state already passed stays, so that a stage can be run again.
      - V(docker) closes a rollback. The journal is archived and a new one begins; originals are kept.
      - V(committed) closes the migration. The originals of all files are deleted.
    type: str
    choices: [docker, prepared, drained, switched, verified, committed]
  source:
    description: The runtime the node comes from.
    type: str
    choices: [dockershim, cri-dockerd, containerd, none]
  event:
    description: A moment to put on the timeline, by the node's clock. Each event counts once, the first time.
    type: str
  notes:
    description: Small facts to keep; a fact without value is removed.
    type: dict
    default: {}
  annotations:
    description: Annotations of the Kubernetes node before the migration, for the way back. The first time counts.
    type: dict
    default: {}
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
  - unshim.journal
"""

EXAMPLES = r"""
- name: Note that the node is prepared
  migration_journal:
    state: prepared
    source: dockershim

- name: Note when the drain began
  migration_journal:
    event: drain_started

- name: Read the journal
  migration_journal:
  register: node_journal
"""

RETURN = r"""
state:
  description: The node's state.
  returned: success
  type: str
  sample: prepared
exists:
  description: Whether the node has a journal.
  returned: success
  type: bool
  sample: true
journal:
  description:
    - The whole journal. File contents are not in it.
    - C(by_hand) lists the shell commands that go back to Docker without unshim.
  returned: success
  type: dict
  sample:
    format: 1
    generation: 1
    state: prepared
    source: dockershim
    steps: []
    files: {}
    units: {}
    packages: {}
    annotations: {}
    notes: {}
    timeline: [{event: prepared, time: 1795518000.0}]
    by_hand: []
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import journal as journal_file
from ansible.module_utils.unshim_node import module_run

ARGUMENTS = {
    "state": {"type": "str", "choices": list(journal_file.STATES)},
    "source": {"type": "str", "choices": ["dockershim", "cri-dockerd", "containerd", "none"]},
    "event": {"type": "str"},
    "notes": {"type": "dict", "default": {}},
    "annotations": {"type": "dict", "default": {}},
    "journal_root": module_run.JOURNAL_ROOT_OPTION,
}


def write(journal, params):
    """Note what ``params`` ask for and return whether anything was new."""
    changed = []
    if params["source"]:
        changed.append(journal.source != params["source"] and journal.set_source(params["source"]))
    for name, value in sorted(params["annotations"].items()):
        changed.append(journal.remember_annotation(name, value))
    for key, value in sorted(params["notes"].items()):
        changed.append(journal.note(key, value))
    if params["event"]:
        changed.append(journal.mark(params["event"], once=True))
    if params["state"] == "docker":
        changed.append(journal.roll_back())
    elif params["state"]:
        changed.append(journal.set_state(params["state"]))
    if params["state"] == "committed":
        changed.append(journal.drop_backups())
    return any(changed)


def act(module):
    journal = module_run.open_journal(module)
    before = summary(journal)
    changed = write(journal, module.params)
    return {
        "changed": changed,
        "state": journal.state,
        "exists": journal.exists,
        "journal": journal.content(),
        "diff": {
            "before": before,
            "after": summary(journal),
            "before_header": journal.path,
            "after_header": journal.path,
        },
    }


def summary(journal):
    """Return what this module may change, as text for a diff."""
    content = journal.content()
    shown = {key: content[key] for key in ("generation", "state", "source", "notes", "annotations")}
    shown["events"] = [entry["event"] for entry in content["timeline"]]
    return json.dumps(shown, indent=1, sort_keys=True) + "\n"


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
