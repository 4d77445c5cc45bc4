"""One fault per test: injected for real into a move of one node, watched to its end, and written into the table.

How to add a fault::

    @pytest.mark.fault(9, "disk full during image import")
    @pytest.mark.representative                      # only if it is one of the few that `make test` runs
    def test_disk_full(fault):                       # fault: conftest.Fault, see its methods
        run = fault.start()                          # migrate.yml --limit VICTIM, with short settings
        run.wait_for_task("images : Copy the images")
        fault.on("fallocate -l ... /var/lib/containerd/full")   # a shell on the victim
        fault.undo(lambda: fault.on("rm -f ..."))  # always carried out, last one first, also when the test fails
        fault.injected("while images were copied")   # the table's words; the clock starts here
        fault.failed(run.finish(), "no space left", "make room")   # exit code, words of the message, no traceback
        fault.safe("docker")                         # waits for Ready and schedulable; how long it took goes into the table
        fault.keeps_data()                           # files, store, pods by owner, Service
        fault.remove_cause()                         # carries out what undo() was given, now
        fault.rerun()                                # migrate.yml again completes: on containerd, data kept

Before the test the victim is on Docker and the workload complete; after it rollback.yml brings it back there and the files
are compared with those before the test. Rows are in build/faults.json and build/faults.md, outputs in build/faults/.
A fault after which requests to the Service may fail says ``fault.service_may_fail = True``. In each test that passes the
watcher has to have seen every budget kept, and at no moment more than one node closed for pods. ``fault.lab`` is the lab.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "story")]

import cluster_watch
import fault_table
import node_snapshot
from api_proxy import ApiProxy
from fault_lab import ROOT, FaultLab
from node_watch import NodeWatch
from planned_changes import LEFT, LEFTOVERS, is_planned

STRIKE = (Path(__file__).parent / "strike.py").read_text()


def pytest_configure(config):
    config.addinivalue_line("markers", "fault(number, name): a row of the fault matrix")
    config.addinivalue_line("markers", "victim(choose): choose(lab) returns the node to move")
    config.addinivalue_line(
        "markers", "representative: one of the faults that `make test` runs; UNSHIM_FULL=1 runs all"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What is no representative is left out where what is marked `full` is (tests/conftest.py)."""
    for item in items:
        if "faults" in item.path.parts and not item.get_closest_marker("representative"):
            item.add_marker(pytest.mark.full)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


@pytest.fixture(scope="session")
def lab():
    lab = FaultLab(ROOT)
    lab.start_prober()
    return lab


@pytest.fixture
def through_a_proxy(lab, tmp_path):
    """A proxy, and a kubeconfig that goes through it."""
    proxy = ApiProxy()
    config = yaml.safe_load(Path(lab.root / lab.kubeconfig).read_text())
    for cluster in config["clusters"]:
        cluster["cluster"]["proxy-url"] = proxy.url
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    yield proxy, str(path)
    proxy.close()


class Strike:
    """Waits on a node for one moment in the middle of a module's work; see strike.py."""

    def __init__(self, node, condition, seconds):
        self.condition = condition
        self._process = subprocess.Popen(
            ["docker", "exec", "-i", node, "python3", "-c", STRIKE, condition, str(seconds)],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def wait(self, modules=1):
        """Wait until the moment has come; at least so many modules must have been at work then."""
        line = self._process.stdout.readline()
        assert line.startswith("hit"), f"{self.condition} did not come:\n{self._process.stderr.read()}"
        assert int(line.split()[1]) >= modules, f"no module was at work when {self.condition}"

    def kill(self):
        self._process.communicate("\n", timeout=10)

    def end(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


class Fault:
    """One fault's story. ``victim`` is the inventory host that moves, by default the first worker, which has the store."""

    def __init__(self, lab, number, name, victim=None):
        self.lab, self.number, self.name = lab, number, name
        self.victim = victim or lab.workers[0]
        self.service_may_fail = False
        self.may_differ = LEFT  # beginnings of node_snapshot's keys; a fault that adds files of its own names them
        self.began = time.time()
        self.row = {"number": number, "fault": name, "injected": "", "end_state": "", "seconds": None, "data": ""}
        self._injected_at = None
        self._undo = []
        self._after = []
        self._strikes = []
        self._runs = []
        self._watch = None
        self._checked = []

    # Before

    def set_up(self):
        """Make sure that the victim is on Docker, open for pods, and the workload complete; note how all is."""
        self.lab.back_to_docker(self.victim)
        self.lab.wait_for_workload()
        self.row["on"] = self.lab.made_on(self.victim)
        self.files = node_snapshot.take(self.lab, self.victim)
        self.owners = self.lab.owners()
        self.store = self._store()
        self.lab.start_watcher()
        self.began = time.time()
        self._watch = NodeWatch(self.lab, self.victim)

    def _store(self):
        return self.lab.on(self.lab.workers[0], "cat /srv/store/starts 2>/dev/null", check=False)

    # Injecting

    def on(self, script, check=True):
        """Run a shell script on the victim and return what it prints."""
        return self.lab.on(self.victim, script, check)

    def start(self, *arguments, controller=None, **settings):
        """Start migrate.yml for the victim; keywords are settings (extra vars). Returns the PlaybookProcess."""
        run = self.lab.start("migrate", *arguments, limit=self.victim, settings=settings, controller=controller)
        self._runs.append(run)
        return run

    def migrate(self, *arguments, **settings):
        """Run migrate.yml for the victim to its end and return the Run."""
        return self.start(*arguments, **settings).finish()

    def injected(self, where):
        """Say that the fault is there now, and where in the move."""
        self.row["injected"] = where
        self._injected_at = time.time()

    def strike_when(self, condition, seconds=600):
        """Begin to wait, on the victim, for a condition at which Ansible's modules there are stopped; see strike.py.

        Returns a Strike: ``wait()`` until it hits, then ``kill()`` the modules, after the controller.
        """
        strike = Strike(self.victim, condition, seconds)
        self._strikes.append(strike)
        return strike

    def after(self, action):
        """Keep what makes the victim as it was before the test; carried out when it is back on Docker."""
        self._after.append(action)

    def undo(self, action):
        """Keep what removes the cause; carried out by remove_cause(), or at the end."""
        self._undo.append(action)

    def remove_cause(self):
        while self._undo:
            self._undo.pop()()

    # What came of it

    def failed(self, run, *words):
        """Make sure that a run failed with one clear message that has these words."""
        said = " ".join(run.output.split())
        assert run.code != 0, run.output
        assert "Traceback" not in said and "MODULE FAILURE" not in said, run.output
        for word in words:
            assert word in said, f"{word!r} is not in what the run said:\n{run.output[-5000:]}"

    def safe(self, runtime, seconds=300):
        """Wait until the victim is safe on ``runtime``; how long that took since the fault goes into the table."""
        seen = None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen = self.lab.safe_state(self.victim)
            if seen[:2] == (True, runtime):
                break
            time.sleep(0.5)
        assert seen is not None and seen[:2] == (True, runtime), f"{self.victim} after {seconds} s: {seen}"
        time.sleep(1.5)  # the watch sees it, too
        if self.row["seconds"] is None and self._injected_at:
            self.row["seconds"] = round(self._watch.seconds_unsafe_after(self._injected_at), 1)
            self.row["end_state"] = f"Ready on {runtime}"

    def keeps_data(self):
        """Make sure that nothing of the user's is lost: files, what the store wrote, pods by their owners, the Service."""
        changed = node_snapshot.changes(self.files, node_snapshot.take(self.lab, self.victim))
        planned = self._planned()
        # On Docker a preparation may have been cut short: its files are there and in the journal, and nothing else may differ.
        may_be_planned = ("",) if self.lab.runtime(self.victim) == "containerd" else ("file ",)
        lost = {
            key: values
            for key, values in changed.items()
            if not key.startswith(self.may_differ)
            and not (planned and key.startswith(may_be_planned) and is_planned(key, planned))
        }
        assert lost == {}, "differs from before the fault"
        store = self._store()
        assert store.startswith(self.store), f"the store lost lines:\n{self.store}\nnow:\n{store}"
        self.lab.wait_for_workload()
        owners = self.lab.owners()
        assert owners == self.owners, "not the same owners of pods"
        assert self.lab.service_answers(), "the Service does not answer"
        if not self.service_may_fail:
            assert self.lab.failed_requests(self.began) == []
        self._checked.append("kept")

    def _planned(self):
        said = self.on("cat /var/lib/unshim/journal.json 2>/dev/null", check=False)
        return set(json.loads(said)["files"]) if said.strip() else set()

    def rerun(self, *arguments, **settings):
        """Run migrate.yml again; it has to complete, with the node on containerd and nothing lost. Returns the Run."""
        run = self.migrate(*arguments, **settings)
        assert run.code == 0, run.output[-6000:]
        self.safe("containerd")
        self.keeps_data()
        self.consistent()
        return run

    def consistent(self):
        """Make sure that the node's journal tells of a completed move and that no run's rubbish lies about."""
        journal = self.lab.journal(self.victim)
        assert journal["state"] == "verified", journal["state"]
        assert [step for step in journal["steps"][-1:] if step["status"] != "done"] == []
        left = self.on(LEFTOVERS).split()
        assert left == [], f"temporary files are left: {left}"

    # After

    def tear_down(self, passed, problem=""):
        try:
            for run in self._runs:
                if run.is_running():
                    run.kill()
            for strike in self._strikes:
                strike.end()
            undone = self._all(self._undo)
            self._watch.end()
            self.lab.back_to_docker(self.victim)
            undone += self._all(self._after)
            if passed:
                changed = node_snapshot.changes(self.files, node_snapshot.take(self.lab, self.victim))
                changed = {key: values for key, values in changed.items() if not key.startswith(self.may_differ)}
                assert changed == {}, "after the rollback not as before the fault"
                assert undone == [], undone
                cluster_watch.assert_nothing_broken(cluster_watch.records(self.lab, self.began), closed_at_most=1)
        except BaseException as error:
            passed, problem = False, problem or f"at the end: {error}"
            raise
        finally:
            self._write_row(passed, problem)

    def _all(self, actions):
        problems = []
        while actions:
            try:
                actions.pop()()
            except Exception as error:  # noqa: BLE001  the next one has to be tried
                problems.append(repr(error))
        return problems

    def _write_row(self, passed, problem):
        if self.number is None:
            return
        checks = len(self._checked)
        looked = f"looked at {checks} time{'s' if checks > 1 else ''}, and after the rollback"
        data = f"kept ({looked})" if passed and checks else "not proved"
        first = (re.split(r"\n", problem.strip()) or [""])[0][:200]
        self.row.update(data=data, result="as it must be" if passed else f"FAILED: {first}")
        fault_table.add(ROOT / "build", self.row)


# Names of temporary files of ours, where we write any.
@pytest.fixture
def fault(lab, request):
    number, name = request.node.get_closest_marker("fault").args
    chosen = request.node.get_closest_marker("victim")
    one = Fault(lab, number, name, chosen.args[0](lab) if chosen else None)
    one.set_up()
    yield one
    report = getattr(request.node, "report_call", None)
    problem = "" if report is None or report.passed else str(getattr(report.longrepr, "reprcrash", report.longrepr))
    one.tear_down(report is not None and report.passed, problem)


@pytest.fixture(autouse=True)
def whole_machines(lab):
    """After a test, whatever became of it: every machine runs."""
    yield
    for node in lab.nodes:
        if not lab.is_up(node):
            subprocess.run(["docker", "start", node], check=False, capture_output=True)
