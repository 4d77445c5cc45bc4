"""Put what these tests share on the path, with the tests of the node's code, which are run once more from afar."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "unit/node")]
