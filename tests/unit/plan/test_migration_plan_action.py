"""The action plugin and the filters, in a real run of ansible-playbook against a host that nothing answers for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FACTS = ROOT / "tests" / "data" / "probes" / "dockershim-worker.facts.json"


@pytest.fixture
def play(tmp_path):
    def run(*tasks, options=()):
        out = tmp_path / "out.json"
        playbook = tmp_path / "play.yml"
        keep = {
            "ansible.builtin.copy": {"content": "{{ kept | to_json }}", "dest": str(out)},
            "delegate_to": "localhost",
        }
        keep["vars"] = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [*tasks, keep]}]))
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(tmp_path),
        }
        ansible = Path(sys.executable).parent / "ansible-playbook"
        # 192.0.2.0/24 is nobody's (RFC 5737): a plugin that contacts its node fails here.
        command = [
            str(ansible),
            "-i",
            "w1,",
            "-e",
            "ansible_host=192.0.2.1",
            "-e",
            "ansible_timeout=2",
            *options,
            str(playbook),
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return done, json.loads(out.read_text()) if out.exists() else None

    return run


def planned(**arguments):
    facts = f"{{{{ lookup('ansible.builtin.file', '{FACTS}') | from_json }}}}"
    return {"migration_plan": {"facts": facts, **arguments}, "register": "made"}


def test_plan_and_text(play):
    kept = {
        "kept": {
            "made": "{{ made }}",
            "plan": "{{ ansible_facts.runtime_plan }}",
            "text": "{{ ansible_facts.runtime_plan | unshim_plan_text }}",
            "blockers": "{{ ansible_facts.runtime_plan | unshim_blockers }}",
            "refusal": "{{ {'runtime': {'os': {'python': '3.5.1'}}, 'runtime_plan': ansible_facts.runtime_plan}"
            " | unshim_refusal('w1', '2.16.0') }}",
            "announced": "{{ ansible_facts.runtime_plan_announced is defined }}",
            "only": "{{ {'a': 'b'} | unshim_only_planned(ansible_facts.runtime_plan) }}",
        }
    }
    settings = {"node_name": "mine", "stop_foreign_containers": [], "all_images": "{{ false }}", "sandbox_image": ""}
    done, out = play(planned(settings=settings), {"ansible.builtin.set_fact": kept}, options=["--diff"])
    assert done.returncode == 0, done.stdout
    assert out["plan"]["node"] == "w1"
    assert out["plan"]["node_name"] == "mine"
    assert out["plan"]["blockers"] == []
    assert out["blockers"] == ""
    assert out["refusal"].startswith("w1 has Python 3.5.1; ")
    assert out["announced"] is False
    assert out["made"]["changed"] is False
    assert out["text"] == out["made"]["text"]
    assert out["made"]["summary"].startswith("w1: Docker (dockershim) -> containerd 1.6.20")
    assert {entry["before_header"].removesuffix(" (absent)") for entry in out["made"]["diff"]} == {
        change["path"] for change in out["plan"]["files"]
    }
    assert out["only"] == {"kubeadm.alpha.kubernetes.io/cri-socket": None}


def test_what_was_announced_stays_when_another_plan_is_made(play):
    kept = {"kept": "{{ [ansible_facts.runtime_plan_announced.node_name, ansible_facts.runtime_plan.node_name] }}"}
    done, out = play(
        planned(announced=True, settings={"node_name": "first"}),
        planned(settings={"node_name": "later"}),
        {"ansible.builtin.set_fact": kept},
    )
    assert done.returncode == 0, done.stdout
    assert out == ["first", "later"]


def test_a_proxys_password_is_in_no_output(play, tmp_path):
    facts = json.loads(FACTS.read_text())
    facts["docker"]["command_line"] = ["/usr/sbin/dockerd"]
    facts["docker"]["environment"] = {"HTTP_PROXY": "http://user:s3cret@proxy.example:3128"}
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    given = f"{{{{ lookup('ansible.builtin.file', '{tmp_path}/facts.json') | from_json }}}}"
    show = {"ansible.builtin.debug": {"msg": "{{ ansible_facts.runtime_plan | unshim_plan_text }}"}}
    planned = {"migration_plan": {"facts": given}}
    done, _ = play(planned, show, {"ansible.builtin.set_fact": {"kept": ""}}, options=["--diff", "-vvv"])
    assert done.returncode == 0, done.stdout
    assert "unshim-proxy.conf" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "task, message",
    [
        ({"migration_plan": {}}, "There are no facts of w1 to plan with"),
        (planned(settings={"gaol": "x"}), "settings has no gaol"),
        ({"migration_plan": {"facts": {"files": 3}}}, "facts are not those of runtime_facts"),
    ],
    ids=["no facts", "unknown setting", "wrong facts"],
)
def test_a_mistake_is_one_message(play, task, message):
    done, _ = play(task)
    assert done.returncode == 2
    assert message in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr
