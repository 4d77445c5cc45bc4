"""The modules beside the tests, and those of other tests whose recorded nodes are edited here."""

import sys
from pathlib import Path

for _folder in ("fuzz", "node_compat", "report"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / _folder))
