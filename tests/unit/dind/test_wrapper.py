"""The words around a job's command, run for real: its code, its signals, and the file that tells dockerd."""

import signal
import subprocess
import time

import pytest

from unshim.dind import manifests, model


@pytest.fixture
def wrapped(tmp_path):
    def make(*command):
        return [word.replace(model.SOCKET_DIRECTORY, str(tmp_path)) for word in manifests.wrapper(command)]

    return make


@pytest.mark.parametrize("code", [0, 7])
def test_it_ends_with_the_jobs_code_and_tells(code, wrapped, tmp_path):
    done = subprocess.run(
        wrapped("sh", "-c", f'echo "$1"; exit {code}', "sh", "a b"), text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, "a b\n")
    assert (tmp_path / "job-ended").exists()


def test_it_passes_a_signal_on_and_waits_for_the_job(wrapped, tmp_path):
    job = f'trap "sleep 0.3; echo cleaned >{tmp_path}/cleaned; exit 4" TERM; touch {tmp_path}/began; while :; do sleep 0.05; done'
    process = subprocess.Popen(wrapped("sh", "-c", job))
    deadline = time.monotonic() + 10
    while not (tmp_path / "began").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not (tmp_path / "job-ended").exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 4
    assert (tmp_path / "cleaned").exists() and (tmp_path / "job-ended").exists()
