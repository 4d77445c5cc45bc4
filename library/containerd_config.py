#!/usr/bin/python
"""Ansible module: put containerd's planned files in place and prove that its CRI service answers."""

DOCUMENTATION = r"""
---
module: containerd_config
short_description: Configure containerd for Kubernetes and prove that it answers
description:
  - Writes the plan's files (containerd's configuration, registries, systemd drop-ins, kernel modules, sysctls), each
    only if it still is as the planner saw it, and keeps every original in the node's journal.
  - Lets the installed containerd read a new configuration before it replaces the old one.
  - Restarts containerd only if a file it reads at its start was changed, a restart was interrupted, or it does not run.
  - Changes containerd's data directory (C(root)) only while nothing runs in containerd, in no namespace.
  - Ends with the CRI gate. If the runtime does not answer the kubelet's CRI version in time, the files of this run are
    put back, containerd is returned to them, and the module fails with the cause.
author: unshim contributors
options:
  state:
    description:
      - V(present) applies O(files).
      - V(restored) puts every original back and returns containerd to whether it ran and was enabled, and sysctls that
        unshim set in the running kernel to what they were.
    type: str
    choices: [present, restored]
    default: present
  earlier:
    description:
      - Changes of an earlier stage that O(files) build on. In check mode they have not been made; a file that still is as
        they found it is then taken to be as they leave it.
    type: list
    elements: dict
    default: []
  copies:
    description:
      - The plan's copies of files that do not leave the node, such as a registry's certificates and keys. One that is
        there already is left alone if it is the same, and refused if it is another that is not of unshim's making.
    type: list
    elements: dict
    default: []
    suboptions:
      source:
        description: The file to copy; what a symlink leads to is copied.
        type: path
        required: true
      path:
        description: Where to.
        type: path
        required: true
      mode:
        description: Permission bits, octal.
        type: str
        default: '0600'
      owner:
        description: Owner, a name or number.
        type: str
        default: root
      group:
        description: Group, a name or number.
        type: str
        default: root
      role:
        description: What the file is for; says who restores it.
        type: str
        default: registry
      secret:
        description: Whether it is a key or may hold one.
        type: bool
        default: false
      stage:
        description: The plan's stage. Not used.
        type: str
        default: prepare
      reason:
        description: Why the plan holds the copy. Not used.
        type: str
        default: ''
  modules:
    description: Kernel modules to load now. One that cannot be loaded is a warning.
    type: list
    elements: str
    default: []
  sysctls:
    description: Sysctls to set now, where they differ. One that cannot be set is a warning.
    type: dict
    default: {}
  containerd_version:
    description: The version the plan was made for; another installed one is refused. Empty takes any.
    type: str
    default: ''
  socket:
    description: containerd's socket, a path or an endpoint.
    type: str
    default: /run/containerd/containerd.sock
  cri_api:
    description: The CRI versions the kubelet speaks, the preferred one first; one of them has to be served.
    type: list
    elements: str
    choices: [v1, v1alpha2]
    default: [v1, v1alpha2]
  cri_timeout:
    description: Seconds the CRI service may take to be ready.
    type: float
    default: 30
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
  - unshim.files
  - unshim.journal
"""

EXAMPLES = r"""
- name: Configure containerd as planned
  containerd_config:
    files: "{{ ansible_facts.runtime_plan.files | selectattr('stage', 'equalto', 'prepare') }}"
    copies: "{{ ansible_facts.runtime_plan.copies }}"
    modules: "{{ ansible_facts.runtime_plan.modules }}"
    sysctls: "{{ ansible_facts.runtime_plan.sysctls }}"
    cri_api: "{{ ansible_facts.runtime_plan.cri_api }}"

- name: Let containerd use its new data directory, once nothing runs in it any more
  containerd_config:
    files: "{{ planned | selectattr('stage', 'equalto', 'switch') | selectattr('role', 'equalto', 'containerd_config') }}"
    earlier: "{{ planned | selectattr('stage', 'equalto', 'prepare') }}"
  vars:
    planned: "{{ ansible_facts.runtime_plan.files }}"

- name: Give containerd its own files back
  containerd_config:
    state: restored
"""

RETURN = r"""
cri:
  description: What the runtime said; empty where it was not asked, as in check mode before a change.
  returned: success
  type: dict
  sample:
    api: v1
    runtime_name: containerd
    runtime_version: 1.6.20
    runtime_api_version: v1
    conditions:
      RuntimeReady: {status: true, reason: '', message: ''}
restarted:
  description: Whether containerd was started or restarted.
  returned: success
  type: bool
  sample: true
changed_files:
  description: The files that were written, removed or restored.
  returned: success
  type: list
  elements: str
  sample: [/etc/containerd/config.toml]
loaded_modules:
  description: Kernel modules that were loaded.
  returned: success
  type: list
  elements: str
  sample: [br_netfilter]
set_sysctls:
  description: Sysctls that were set in the running kernel.
  returned: success
  type: dict
  sample: {"net.ipv4.ip_forward": "1"}
put_back:
  description: Files that were put back because the CRI gate failed.
  returned: when the gate failed
  type: list
  elements: str
  sample: [/etc/containerd/config.toml]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import containerd_config, cri, file_copies, module_run

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
    "files": module_run.FILES_OPTION,
    "copies": file_copies.OPTION,
    "earlier": {"type": "list", "elements": "dict", "default": [], "no_log": True},
    "modules": {"type": "list", "elements": "str", "default": []},
    "sysctls": {"type": "dict", "default": {}},
    "containerd_version": {"type": "str", "default": ""},
    "socket": {"type": "str", "default": "/run/containerd/containerd.sock"},
    "cri_api": {"type": "list", "elements": "str", "choices": list(cri.APIS), "default": list(cri.APIS)},
    "cri_timeout": {"type": "float", "default": 30},
    "journal_root": module_run.JOURNAL_ROOT_OPTION,
}


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), containerd_config.act)


if __name__ == "__main__":
    main()
