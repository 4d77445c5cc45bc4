"""Where the planted workloads and their look-alikes are."""

from pathlib import Path

DATA = Path(__file__).parents[2] / "data/workloads"
