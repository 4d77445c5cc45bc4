"""Judge what nodes answered: a line of JSON with an answer and the node's settings in, a line with the audit's word on it out.

``judges.py`` runs it, beside the process that talks to the nodes.
"""

import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from unshim import audit, records
from unshim.audit_model import Answer
from unshim.plan_model import Settings


def main() -> None:
    # It ends with its input and its reader, which are the other process'.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with_facts = "--with-facts" in sys.argv[1:]
    for line in sys.stdin:
        asked = json.loads(line)
        answer, settings = records.from_data(Answer, asked["answer"]), records.from_data(Settings, asked["settings"])
        print(json.dumps(records.to_data(audit.of_answer(answer, settings, with_facts))), flush=True)


if __name__ == "__main__":
    main()
