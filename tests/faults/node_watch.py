"""When a node was safe: Ready and open for pods, by the API, with a kubelet that answers."""

import json
import threading
import time

EVERY = 0.7  # s


class NodeWatch:
    """Looks at one node all the time, in a thread.

    Attributes:
        moments: [(Unix time, safe, runtime, why not)] of every change.
    """

    def __init__(self, lab, node):
        self.lab, self.node = lab, node
        self.moments = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._end.is_set():
            now = self.lab.safe_state(self.node)
            if not self.moments or self.moments[-1][1:] != now:
                self.moments.append((time.time(), *now))
            self._end.wait(EVERY)

    def end(self):
        self._end.set()
        self._thread.join(20)

    def seconds_unsafe_after(self, moment):
        """Return the seconds from ``moment`` to the end of the last time the node was not safe; 0 if it always was."""
        end = moment
        for (_, safe, _, _), following in zip(self.moments, [*self.moments[1:], None], strict=True):
            if not safe:
                end = max(end, following[0] if following else time.time())
        return max(0.0, end - moment)

    def told(self):
        return json.dumps(self.moments)
