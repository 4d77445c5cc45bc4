#!/usr/bin/python
"""Ansible module: stop the kubelet, start it on another runtime, or give it back its own files."""

DOCUMENTATION = r"""
---
module: kubelet_runtime
short_description: Move a kubelet to another container runtime and back
description:
  - Applies the plan's changes to the kubelet's files, wherever its flags are defined, and proves that the kubelet
    starts with them and stays up.
  - Every original is in the node's journal before it is touched, and comes back byte for byte.
author: unshim contributors
options:
  state:
    description:
      - V(stopped) stops the unit.
      - V(containerd) applies O(files), starts the kubelet and watches it. The process has to have O(endpoint) on its
        command line or in its configuration file.
      - V(restored) puts the originals back and starts the kubelet, if it ran before the migration.
    type: str
    choices: [stopped, containerd, restored]
    required: true
  files:
    description: The plan's changes to the kubelet's files.
  endpoint:
    description: The CRI endpoint the kubelet has to use.
    type: str
    default: unix:///run/containerd/containerd.sock
  start:
    description: Whether V(restored) starts the kubelet.
    type: bool
    default: true
  timeout:
    description: Seconds the unit may take to stop, and to become active.
    type: float
    default: 120
  watch:
    description: Seconds the started process has to stay up.
    type: float
    default: 4
  unit:
    description: The kubelet's systemd unit.
    type: str
    default: kubelet.service
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
  - unshim.files
  - unshim.journal
"""

EXAMPLES = r"""
- name: Stop the kubelet
  kubelet_runtime:
    state: stopped

- name: Point the kubelet at containerd and start it
  kubelet_runtime:
    state: containerd
    files: "{{ ansible_facts.runtime_plan.files | selectattr('stage', 'equalto', 'switch') }}"
    endpoint: unix:///run/containerd/containerd.sock

- name: Give the kubelet its own files back
  kubelet_runtime:
    state: restored
"""

RETURN = r"""
changed_files:
  description: The files that were written, removed or restored.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/kubelet/kubeadm-flags.env]
stopped:
  description: Whether the kubelet was stopped.
  returned: success
  type: bool
  sample: false
started:
  description: Whether the kubelet was started.
  returned: success
  type: bool
  sample: true
pid:
  description: Process id of the running kubelet, 0 if it does not run.
  returned: success
  type: int
  sample: 4711
command_line:
  description: Command line of the running kubelet.
  returned: success
  type: list
  elements: str
  sample: [/usr/bin/kubelet, '--container-runtime-endpoint=unix:///run/containerd/containerd.sock']
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import kubelet, kubelet_switch, module_run

ARGUMENTS = {
    "state": {"type": "str", "choices": ["stopped", "containerd", "restored"], "required": True},
    "files": module_run.FILES_OPTION,
    "endpoint": {"type": "str", "default": "unix:///run/containerd/containerd.sock"},
    "start": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 120},
    "watch": {"type": "float", "default": 4},
    "unit": {"type": "str", "default": kubelet.UNIT},
    "journal_root": module_run.JOURNAL_ROOT_OPTION,
}


def act(module):
    module_run.hide_only_secrets(module, module.params["files"])
    journal = module_run.open_journal(module)
    states = {
        "stopped": kubelet_switch.stopped,
        "containerd": kubelet_switch.on_containerd,
        "restored": kubelet_switch.restored,
    }
    return states[module.params["state"]](module, journal)


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
