"""Imports once, before there are workers, what each of them would import for each task and node."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import action_loader, filter_loader, test_loader

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import records
from unshim.facts import Facts
from unshim.plan_model import Plan, Settings

DOCUMENTATION = r"""
name: unshim_preload
type: aggregate
short_description: Playbooks use less of the controller's processors
description:
  - Ansible forks a worker for each task and node. Whatever a worker imports is gone with it, and Ansible imports every file of
    filters as soon as a condition uses a filter of Jinja's own, such as V(length). This imports the project's filters and
    actions before the first fork, so that the workers have them.
  - Shows nothing and changes nothing; without it playbooks do the same, more slowly.
author: unshim contributors
"""

FILTERS = ("unshim_plan_text", "unshim_dind_host")  # one of each file in filter_plugins/
ACTIONS = ("runtime_facts", "migration_plan", "node_runtime")  # those that run on every node, again and again


class CallbackModule(CallbackBase):
    """A callback only because Ansible loads those before anything else."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "unshim_preload"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        for name in FILTERS:
            filter_loader.get(name)
        test_loader.get("version")  # and with it the files of Ansible's own
        for name in ACTIONS:
            action_loader.get(name, class_only=True)
        with contextlib.suppress(ImportError):  # the action that needs the API's client says that it is missing
            importlib.import_module("unshim_kube.client")
        records.prepare(Facts, Plan, Settings)
        # What the collector of garbage looks at in a worker is copied from the controller's memory; so let it pass over this.
        gc.freeze()
