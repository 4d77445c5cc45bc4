"""Put the node-side code on the path, under both names it is imported by."""

import sys
from pathlib import Path

import ansible.module_utils

ROOT = Path(__file__).resolve().parents[3]
for directory in (ROOT / "module_utils", ROOT / "library"):
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
if str(ROOT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
