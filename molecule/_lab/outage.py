"""Print what the lab's probers saw: requests asked, requests failed, and the longest time without an answer."""

import subprocess
import sys

CONTROL_PLANE = "unshim-cp1"


def main() -> int:
    for name, what in (("service", "the Service"), ("api", "the API server")):
        log = subprocess.run(
            ["docker", "exec", CONTROL_PLANE, "cat", f"/var/tmp/unshim-prober-{name}.log"],
            text=True,
            capture_output=True,
            check=True,
        ).stdout
        answers = [line.split() for line in log.splitlines()]
        failed = [float(time) for time, outcome, _ in answers if outcome != "200"]
        outage = f", over {max(failed) - min(failed):.1f} s" if failed else ""
        print(f"{what}: {len(answers)} requests, {len(failed)} failed{outage}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
