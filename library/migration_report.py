#!/usr/bin/python
"""Documentation of the action plugin migration_report, which does the work on the controller."""

DOCUMENTATION = r"""
---
module: migration_report
short_description: Write a report of a fleet as an HTML page, as Markdown and as JSON
description:
  - Says how many nodes are done, ready, blocked or failed; per node what changes, what was found, and, after a move, how
    long each stage took and how long the node was out of service; what was restored and why.
  - The HTML page needs no network and no other file. The Markdown is cut to what a ticket takes. The JSON has all of it;
    its schema is C(docs/schemas/report.schema.json).
  - Reads the variables of the hosts. RV(ignore:ansible_facts.runtime) and RV(ignore:ansible_facts.runtime_plan) are what
    M(runtime_facts) and M(migration_plan) left; RV(ignore:ansible_facts.runtime_plan_announced) is the plan before a move began,
    C(report_journals) the registered result of reading the journals, and C(move_failed), C(move_failed_task),
    C(move_failed_cause) and C(move_bundle) what C(migrate.yml) keeps of a move that failed.
  - Passwords, tokens and keys are hidden. No node is contacted.
author: unshim contributors
options:
  directory:
    description: Directory on the controller that reports are written to; it is made if it is missing.
    type: path
    required: true
  hosts:
    description: The hosts to report on, in order.
    type: list
    elements: str
    required: true
  only_seen:
    description: Leave out hosts that nothing is known of. Else they are reported as not seen.
    type: bool
    default: false
  control_plane:
    description: Those of the hosts that are control-plane nodes.
    type: list
    elements: str
    default: []
  findings:
    description: File on the controller with what M(workload_scan) found, as JSON; empty means the report tells of nodes only.
    type: path
    default: ''
  title:
    description: What the report is called.
    type: str
    default: ''
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
attributes:
  check_mode:
    details: Counts, and writes nothing.
  diff_mode:
    support: none
  idempotent:
    support: none
    details: Each run writes files of its own.
"""

EXAMPLES = r"""
- name: Write the report
  migration_report:
    directory: unshim-reports
    hosts: "{{ groups['kube_node'] }}"
  run_once: true
"""

RETURN = r"""
html:
  description: The page.
  returned: success
  type: str
  sample: /home/admin/unshim-reports/20261124T173447Z.html
markdown:
  description: The same for a ticket.
  returned: success
  type: str
  sample: /home/admin/unshim-reports/20261124T173447Z.md
json:
  description: The same for machines.
  returned: success
  type: str
  sample: /home/admin/unshim-reports/20261124T173447Z.json
counts:
  description: How many nodes are in each state.
  returned: success
  type: dict
  sample: {failed: 0, blocked: 1, moving: 0, prepared: 0, ready: 2, done: 7, unknown: 0}
"""
