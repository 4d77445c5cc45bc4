#!/usr/bin/python
"""Take a drained node from Docker to containerd: all of its outage that is not Kubernetes' own, in one go."""

DOCUMENTATION = r"""
---
module: runtime_switch
short_description: Take a drained node's kubelet from Docker to containerd
description:
  - Proves that containerd answers, stops the kubelet, retires Docker as C(docker_retire) does, gives containerd its new data
    directory if it gets one, points the kubelet at containerd as C(kubelet_runtime) does, and notes that the node is switched.
  - It is one module so that a node is without a kubelet for no longer than its own work takes, and so that a node whose
    controller dies in the middle of it comes out of it all the same.
  - What can be found before the kubelet stops is found before. Each step is in the node's journal, and a run that was cut
    short goes on from there. The way back is that of the modules named.
author: unshim contributors
requirements:
  - systemd and C(docker) on the node
options:
  files:
    description: The plan's changes of stage C(switch), to containerd's and the kubelet's files.
  earlier:
    description: The plan's changes of stage C(prepare), for check mode.
    type: list
    elements: dict
    default: []
  endpoint:
    description: The CRI endpoint the kubelet has to use.
    type: str
    default: unix:///run/containerd/containerd.sock
  cri_api:
    description: The CRI versions the kubelet speaks, the preferred one first; one of them has to be served.
    type: list
    elements: str
    choices: [v1, v1alpha2]
    default: [v1, v1alpha2]
  sandbox_image:
    description: The image that containerd has to have before the kubelet is stopped. Empty asks for none.
    type: str
    default: ""
  new_root:
    description:
      - Whether O(files) give containerd another data directory. Its images are in there, so they are proved only when it
        uses it, and it may do so only when nothing runs any more.
    type: bool
    default: false
  stop_foreign:
    description: Names of running containers that are not Kubernetes' and may be stopped.
    type: list
    elements: str
    default: []
  grace_limit:
    description: Seconds a container may take to stop, at most; a shorter grace period of its pod counts.
    type: int
    default: 30
  cni_cache_dir:
    description: The kubelet's C(--cni-cache-dir).
    type: path
    default: /var/lib/cni/cache
  cni_conf_dir:
    description: The kubelet's C(--cni-conf-dir).
    type: path
    default: /etc/cni/net.d
  cni_bin_dirs:
    description: The kubelet's C(--cni-bin-dir).
    type: list
    elements: path
    default: [/opt/cni/bin]
  cri_timeout:
    description: Seconds to wait for containerd's answer.
    type: float
    default: 30
  timeout:
    description: Seconds the kubelet may take to stop, and to become active.
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
- name: Switch the node from Docker to containerd
  runtime_switch:
    files: "{{ ansible_facts.runtime_plan.files | selectattr('stage', 'equalto', 'switch') }}"
    sandbox_image: "{{ ansible_facts.runtime_plan.sandbox_image }}"
"""

RETURN = r"""
changed_files:
  description: The files that were written.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/kubelet/kubeadm-flags.env]
stopped:
  description: Docker's containers that were stopped, in order; in words.
  returned: success
  type: list
  elements: str
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
from ansible.module_utils.unshim_node import cri, kubelet, module_run, node_switch

ARGUMENTS = {
    "files": module_run.FILES_OPTION,
    "earlier": {"type": "list", "elements": "dict", "default": [], "no_log": True},
    "endpoint": {"type": "str", "default": "unix:///run/containerd/containerd.sock"},
    "cri_api": {"type": "list", "elements": "str", "choices": list(cri.APIS), "default": list(cri.APIS)},
    "sandbox_image": {"type": "str", "default": ""},
    "new_root": {"type": "bool", "default": False},
    "stop_foreign": {"type": "list", "elements": "str", "default": []},
    "grace_limit": {"type": "int", "default": 30},
    "cni_cache_dir": {"type": "path", "default": "/var/lib/cni/cache"},
    "cni_conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
    "cni_bin_dirs": {"type": "list", "elements": "path", "default": ["/opt/cni/bin"]},
    "cri_timeout": {"type": "float", "default": 30},
    "timeout": {"type": "float", "default": 120},
    "watch": {"type": "float", "default": 4},
    "unit": {"type": "str", "default": kubelet.UNIT},
    "journal_root": module_run.JOURNAL_ROOT_OPTION,
}


def act(module):
    module_run.hide_only_secrets(module, module.params["files"] + module.params["earlier"])
    return node_switch.switch(module, module_run.open_journal(module))


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
