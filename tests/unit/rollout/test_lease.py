"""One run at a time: who gets the lock, who is refused and with what words, and what the keeper does."""

import os
import subprocess
import sys
import threading
import time

import pytest

from unshim_kube import lease, lease_keeper
from unshim_kube.errors import KubeError, Refused, Unreachable

NOW = 1_800_000_000.0


class Cluster:
    """The API server's part: one Lease, changed only by who knows its version."""

    def __init__(self):
        self.lease = None
        self.version = 0
        self.away = 0
        self.forbidden = False
        self.before_write = []
        self.lock = threading.Lock()

    def _asked(self):
        if self.away:
            self.away -= 1
            raise Unreachable("away")
        if self.forbidden:
            raise Refused("forbidden", 403)

    def _store(self, new):
        self.version += 1
        self.lease = new
        self.lease["metadata"] = {"uid": "u1", **new["metadata"], "resourceVersion": str(self.version)}
        return self.lease

    def get(self, path):
        assert path == lease.PATH
        with self.lock:
            self._asked()
            if self.lease is None:
                raise Refused("none", 404)
            return {**self.lease, "metadata": dict(self.lease["metadata"])}

    def post(self, path, body):
        assert path == lease.LEASES
        self._interrupt()
        with self.lock:
            self._asked()
            if self.lease is not None:
                raise Refused("exists", 409)
            return self._store(body)

    def patch(self, path, body, *, retry_for=None):
        self._interrupt()
        with self.lock:
            self._asked()
            if self.lease is None:
                raise Refused("none", 404)
            if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                raise Refused("changed", 409)
            metadata = {**self.lease["metadata"], **body["metadata"]}
            return self._store({**self.lease, "metadata": metadata, "spec": {**self.lease["spec"], **body["spec"]}})

    def delete(self, path, *, body=None):
        with self.lock:
            self._asked()
            if self.lease is None:
                return
            if body["preconditions"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                raise Refused("changed", 409)
            self.lease = None

    def _interrupt(self):
        if self.before_write:
            self.before_write.pop(0)()

    @property
    def holder(self):
        return self.lease and self.lease["spec"]["holderIdentity"]


@pytest.fixture
def cluster():
    return Cluster()


def process(pid=None, host="here", controller="boot-1 pid:[1]"):
    return lease.Process("op", host, controller, os.getpid() if pid is None else pid)


@pytest.fixture
def ended():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def take(cluster, who, take_over="", now=None, sleep=None):
    return lease.take(cluster, who, take_over, sleep or (lambda _seconds: None), lambda: now or time.time())


def test_a_free_lock_is_taken_and_given_back(cluster):
    taken = take(cluster, process())
    assert cluster.holder == taken.name and taken.name.startswith(f"op@here pid {os.getpid()} run ")
    assert taken.needs_keeper and not taken.said
    lease.release(cluster, "somebody else")
    assert cluster.holder == taken.name
    lease.release(cluster, taken.name)
    assert cluster.lease is None


def test_the_same_process_keeps_its_lock(cluster):
    first = take(cluster, process())
    again = take(cluster, process())
    assert again.name == first.name and not again.needs_keeper
    late = lease.take(cluster, process(), now=lambda: time.time() + 45)
    assert late.name == first.name and late.needs_keeper, "nobody renewed it: its keeper is gone"


def test_another_living_run_is_refused_with_its_name_age_and_last_sign_of_life(cluster):
    other = take(cluster, process(pid=1, host="there"), now=NOW)
    lease.renew(cluster, other.name, NOW + 600)
    with pytest.raises(KubeError) as refusal:
        take(cluster, process(), now=NOW + 604)
    said = refusal.value.message
    assert other.name in said and "since 10 min" in said and "last sign of life 4 s ago" in said
    assert "Nothing was changed" in said
    assert cluster.holder == other.name


def test_a_living_process_of_this_controller_is_refused(cluster):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        take(cluster, process(pid=sleeper.pid))
        with pytest.raises(KubeError, match="Another run"):
            take(cluster, process())
        with pytest.raises(KubeError, match="Another run"):
            take(cluster, process(), now=time.time() + 9999)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_process_of_this_controller_that_is_gone_loses_its_lock_at_once(cluster, ended):
    dead = take(cluster, process(pid=ended))
    taken = take(cluster, process())
    assert cluster.holder == taken.name != dead.name
    assert dead.name in taken.said


def test_a_process_number_that_was_given_again_is_not_the_holder(cluster):
    take(cluster, process(pid=os.getpid()), now=1000.0)  # long before this process began
    taken = take(cluster, process())
    assert taken.said


@pytest.mark.parametrize("other", [{"host": "there"}, {"controller": "boot-1 pid:[2]"}])
def test_another_controllers_process_is_never_thought_dead(cluster, ended, other):
    """A container of the same host name, too: its processes cannot be seen from here."""
    dead = take(cluster, process(pid=ended, **other), now=NOW)
    with pytest.raises(KubeError) as refusal:
        take(cluster, process(), now=NOW + 3600)
    assert f'unshim_take_over="{dead.name}"' in refusal.value.message
    with pytest.raises(KubeError, match="which is another"):
        take(cluster, process(), "op@elsewhere pid 1 run 0", now=NOW + 3600)
    taken = take(cluster, process(), dead.name, now=NOW + 3600)
    assert cluster.holder == taken.name and "taken over" in taken.said


def test_a_lock_that_lives_is_not_taken_over(cluster):
    other = take(cluster, process(pid=1, host="there"), now=NOW)
    with pytest.raises(KubeError, match="takes only a lock without a sign of life"):
        take(cluster, process(), other.name, now=NOW + 30)


def test_a_wrong_clock_does_not_make_a_living_lock_stale(cluster):
    other = take(cluster, process(pid=1, host="there"), now=NOW)
    with pytest.raises(KubeError, match="renewed just now"):
        take(cluster, process(), other.name, NOW + 3600, sleep=lambda _s: lease.renew(cluster, other.name, NOW + 1))
    assert cluster.holder == other.name


def test_of_two_that_create_at_a_time_one_is_refused(cluster):
    cluster.before_write.append(lambda: take(cluster, process(pid=1, host="there")))
    with pytest.raises(KubeError, match="op@there pid 1"):
        take(cluster, process())


def test_of_two_that_take_over_at_a_time_one_is_refused(cluster, ended):
    take(cluster, process(pid=ended))
    cluster.before_write.append(lambda: cluster.patch("", {
        "metadata": {"resourceVersion": cluster.lease["metadata"]["resourceVersion"]},
        "spec": {"holderIdentity": "op@there pid 1 run 1", "renewTime": lease._text(time.time())},
    }))  # fmt: skip
    cluster.lease["metadata"]["annotations"]["unshim.io/controller"] = "boot-1 pid:[1]"
    with pytest.raises(KubeError, match="op@there pid 1 run 1"):
        take(cluster, process())


def test_a_lease_that_nobody_holds_is_no_obstacle(cluster):
    cluster._store({"metadata": {}, "spec": {"holderIdentity": ""}})
    taken = take(cluster, process())
    assert cluster.holder == taken.name


def test_the_right_to_keep_leases_is_asked_for(cluster):
    cluster.forbidden = True
    with pytest.raises(KubeError, match=r"get, create, patch and delete on leases\.coordination\.k8s\.io"):
        take(cluster, process())


def test_what_ends_a_run_at_its_next_gate(cluster):
    mine = process()
    take(cluster, mine)
    assert lease.problem(lease.read(cluster), mine, time.time()) == ""
    cluster.lease["spec"]["holderIdentity"] = "op@there pid 9 run 1"
    assert "taken over by op@there pid 9 run 1" in lease.problem(lease.read(cluster), mine, time.time())
    assert "gone" in lease.problem(None, mine, time.time())


def test_the_keeper_renews_while_the_process_lives_and_gives_back_then(cluster, monkeypatch):
    monkeypatch.setattr(lease, "RENEW_EVERY", 0.05)
    taken = take(cluster, process(), now=NOW)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    keeper = threading.Thread(target=lease_keeper.keep, args=(cluster, lease_keeper.watcher(child.pid), taken.name))
    keeper.start()
    deadline = time.monotonic() + 10
    while lease.read(cluster).renewed == NOW and time.monotonic() < deadline:
        time.sleep(0.02)
    assert lease.read(cluster).renewed != NOW and keeper.is_alive()
    child.kill()
    child.wait()
    keeper.join(10)
    assert not keeper.is_alive() and cluster.lease is None


def test_the_keeper_outlives_an_api_server_that_is_away(cluster, monkeypatch):
    monkeypatch.setattr(lease_keeper.time, "sleep", lambda _seconds: None)
    taken = take(cluster, process())
    cluster.away = 3
    answers = iter([False, False, True])
    lease_keeper.keep(cluster, lambda _seconds: next(answers), taken.name)
    assert cluster.lease is None


def test_the_keeper_leaves_a_lock_alone_that_is_not_its_runs_any_more(cluster):
    take(cluster, process())
    lease_keeper.keep(cluster, lambda _seconds: False, "op@here pid 1 run old")
    assert cluster.lease is not None


def test_a_process_that_is_gone_already_has_ended(ended):
    assert lease_keeper.watcher(ended)(0.0) is True


def test_this_process_is_seen():
    assert lease.process_lives(os.getpid(), time.time())
    assert not lease.process_lives(os.getpid(), 1000.0)
