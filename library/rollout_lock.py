#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/rollout_lock.py does the work, on the controller.

DOCUMENTATION = r"""
---
module: rollout_lock
short_description: Hold the cluster's lock, so that no two runs of unshim change nodes at a time
description:
  - The lock is the Lease C(unshim) in the namespace C(kube-system). It belongs to this ansible-playbook process, on whichever host
    the task runs.
  - A keeper process renews it every 10 seconds, and gives it back when ansible-playbook ends, however it ends.
  - Where another run holds it, the task fails with that run's user, host and process, its age and its last sign of life.
  - A lock of a process of the same controller that is gone is taken over with a warning. Another controller's is taken only with
    O(take_over), and only after 60 seconds without a sign of life.
author: unshim contributors
options:
  state:
    description: V(held) takes the lock, or finds it held by this run; V(released) gives it back.
    type: str
    choices: [held, released]
    default: held
  take_over:
    description: Name of the holder of a stale lock, as the refusal shows it, to take the lock from it.
    type: str
    default: ""
  required:
    description: Fail if the API server gives no answer; otherwise go on without the lock, as for a way back that must work then.
    type: bool
    default: true
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.cluster
"""

EXAMPLES = r"""
- name: Lock the cluster for this run
  run_once: true
  rollout_lock:
    kubeconfig: "{{ unshim_kubeconfig }}"
"""

RETURN = r"""
holder:
  description: Who holds the lock now; empty if nobody does.
  returned: success
  type: str
  sample: admin@bastion pid 4711 run 8f2c19ab
msg:
  description: What was found, in a sentence.
  returned: always
  type: str
"""
