"""SSH targets of this machine, as the tests of the audit have them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "audit"))
