"""Put the node-side code on the path under both names it is imported by, and what these tests share."""

import sys
from pathlib import Path

import ansible.module_utils

HERE = Path(__file__).resolve().parent
MODULE_UTILS = HERE.parents[2] / "module_utils"
sys.path.insert(0, str(HERE))
if str(MODULE_UTILS) not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(MODULE_UTILS))
