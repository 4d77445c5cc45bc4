"""Add up JUnit files and print one closing line; fail where a phase that must have run left no result.

With --failures only what failed is named, shortly: the last lines of a log are often all that is kept of it.
"""

import sys
from pathlib import Path
from xml.etree import ElementTree

EXPECTED = (
    "unit",
    "monitoring",
    "audit",
    "provision",
    "default/nodes+without_python",
    "matrix/air_gapped+refused",
    "matrix/machine+nodes+removed+restarted",
    "monitoring-lab/monitored",
    "migrate/on_docker",
    "migrate/moving",
    "migrate/nodes+on_containerd",
    "migrate/rolled_back",
    "migrate/migrated_again",
    "migrate/committed",
    "carry_over/on_docker",
    "carry_over/nodes+on_containerd",
    "carry_over/rolled_back",
    "dind/dind",
    "faults/faults",
    "rolling/rolling",
)


def failures(directory: Path) -> list[str]:
    """Return one short paragraph for each failed test: its name and the lines of the report that say what differed."""
    found = []
    for path in sorted(directory.rglob("*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            for problem in (*case.findall("failure"), *case.findall("error")):
                lines = [line[:300] for line in (problem.text or "").splitlines() if line.startswith("E ")]
                lines = lines or [(problem.get("message") or "")[:300]]
                found.append(
                    "\n".join([f"FAILED {path.stem}: {case.get('classname')}.{case.get('name')}", *both_ends(lines)])
                )
    return found


def both_ends(lines: list[str], first: int = 8, last: int = 30) -> list[str]:
    """Leave out the middle of many lines: a playbook's output says at its end what failed."""
    left_out = len(lines) - first - last
    return lines if left_out <= 1 else [*lines[:first], f"... {left_out} more lines", *lines[-last:]]


def slowest(directory: Path, many: int = 25) -> list[str]:
    """Return one line for each of the tests that took longest, the longest first; a fixture's time is its first test's."""
    times = [
        (float(case.get("time", 0)), path.relative_to(directory).with_suffix(""), case.get("name"))
        for path in directory.rglob("*.xml")
        for case in ElementTree.parse(path).iter("testcase")
    ]
    return [f"{seconds:6.0f} s  {path}: {name}" for seconds, path, name in sorted(times, reverse=True)[:many]]


def main(directory: Path) -> int:
    passed = failed = skipped = 0
    absent = [name for name in EXPECTED if not (directory / f"{name}.xml").exists()]
    for path in sorted(directory.rglob("*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            skip = case.find("skipped")
            if skip is not None:
                skipped += 1
                print(f"skipped: {case.get('classname')}.{case.get('name')}: {skip.get('message')}")
            elif case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            else:
                passed += 1
    print("\n".join(["\n=== slowest tests ===", *slowest(directory), ""]))
    for name in absent:
        print(f"no result of {name}: it did not run")
    print(f"{passed} passed, {failed + len(absent)} failed, {skipped} skipped")
    return 1 if failed or absent else 0


if __name__ == "__main__":
    if sys.argv[1] == "--failures":
        print("\n".join(failures(Path(sys.argv[2]))))
    else:
        sys.exit(main(Path(sys.argv[1])))
