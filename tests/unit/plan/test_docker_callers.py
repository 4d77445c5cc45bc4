"""Who calls Docker from outside of Kubernetes: what counts as a call, what only looks like one, and what a plan says of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim import docker_callers, plan
from unshim.facts import Container, Docker, DockerClient, Facts, Kubelet, Mention, OperatingSystem, Unit
from unshim.plan_model import Settings

UNIT = "/etc/systemd/system/x.service"


def what(text, path="/etc/cron.d/x", **how):
    found = docker_callers.calls(Facts(docker_mentions=(Mention(path, 3, text, **how),)))
    return found[0].what if found else ""


CRONTAB = {
    "* * * * * root /usr/bin/docker ps": "docker ps",
    "@daily root docker system prune -af": "docker system",
    "*/5\t*\t*\t*\t*\troot\tdocker-compose -f /srv/a.yml up -d": "docker-compose up",
    "* * * * * root docker compose -f /srv/a.yml up -d": "docker compose",
    "0 4 * * sun,mon root sudo -u ann docker rm $(docker ps -aq)": "docker rm, docker ps",
    "* * * * * root FOO=1 timeout 5 docker info >/dev/null || reboot": "docker info",
    "* * * * * root cd /srv && docker build . && docker push r/x": "docker build, docker push",
    "* * * * * root sh -c 'docker exec db dump'": "docker exec",
    "* * * * * root curl --unix-socket /var/run/docker.sock http://x/info": "/var/run/docker.sock",
    "* * * * * root test -S /run/docker.sock || mail root": "/run/docker.sock",
    "* * * * * root crictl -r unix:///var/run/dockershim.sock ps": "/var/run/dockershim.sock",
    "* * * * * root pgrep dockerd || systemctl restart docker": "systemctl restart docker",
    "* * * * * root systemctl is-active --quiet docker.service || mail root": "systemctl is-active docker",
    "* * * * * root service docker restart": "service restart docker",
    "DOCKER_HOST=unix:///run/docker.sock": "DOCKER_HOST, /run/docker.sock",
    "DOCKER_HOST = tcp://127.0.0.1:2375": "DOCKER_HOST",
    "* * * * * root docker -H unix:///run/docker.sock ps": "docker ps, /run/docker.sock",
    "* * * * * root docker -H tcp://localhost:2375 ps": "docker ps",
    "* * * * * root docker login -u ci -p hunter2 registry": "docker login",
}
LOOK_ALIKES = (
    "* * * * * root cat /var/log/docker-gc.log",
    "* * * * * root /opt/docker/run.sh --docker",
    "* * * * * docker /opt/run.sh",
    "* * * * * root chown root:docker /srv/x",
    "* * * * * root echo docker ps /var/run/docker.sock",
    "* * * * * root logger 'docker ps failed'",
    "* * * * * root apt-get install -y docker.io docker-ce",
    "* * * * * root dockerize -wait x; docker-gc; my-docker ps",
    "* * * * * root find /var/lib/docker -name '*.log' -size +1G",
    "* * * * * root ls /srv/docker.sock.bak /srv/mydocker.sock",
    "* * * * * root crictl -r unix:///run/containerd/containerd.sock ps # docker",
    "* * * * * root true # docker ps",
    "MAILTO=docker",
    "PATH=/opt/docker/bin:/usr/bin",
    "MY_DOCKER_HOST=x",
    "DOCKER_HOST=ssh://build.example",
    "* * * * * root DOCKER_HOST=tcp://10.1.2.3:2376 docker ps",
    "* * * * * root docker -H ssh://build.example ps",
    "* * * * * root docker --host=tcp://build.example:2376 ps",
    "* * * * * root systemctl restart docker-registry",
    "* * * * * root systemctl restart nginx; cat docker",
    "* * * * * root tar cf - /etc/docker",
    "* * * * * root docker",
)


@pytest.mark.parametrize("text, expected", CRONTAB.items())
def test_a_call_in_a_crontab(text, expected):
    assert what(text) == expected


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_no_call_in_a_crontab(text):
    assert what(text) == ""


@pytest.mark.parametrize(
    "path, text, expected",
    [
        ("/var/spool/cron/crontabs/joe", "* * * * * docker ps", "docker ps"),
        ("/var/spool/cron/root", "@reboot docker start x", "docker start"),
        ("/etc/anacrontab", "7 10 weekly.gc docker image prune", "docker image"),
        ("/etc/anacrontab", "@monthly 10 docker true", ""),
        ("/etc/cron.daily/gc", "docker image prune -f", "docker image"),
        ("/etc/cron.daily/gc", "* * * * * root docker ps", ""),  # a script, in which that is no command
        (UNIT, "ExecStart=/usr/bin/docker run --rm a", "docker run"),
        (UNIT, "ExecStartPre=-/usr/bin/docker rm -f a", "docker rm"),
        (UNIT, "ExecStop=@+/usr/bin/docker me stop a", "docker stop"),  # "me" is what it is to be called: systemd.service(5)
        (UNIT, "ExecStart=/bin/sh -c '/usr/bin/docker ps | grep x'", "docker ps"),
        (UNIT, "ExecStart=/usr/bin/echo docker ps", ""),
        (UNIT, 'Environment="DOCKER_HOST=unix:///run/docker.sock"', "DOCKER_HOST, /run/docker.sock"),
        (UNIT, "Environment=DOCKER_HOST=tcp://build.example:2376", ""),
        (UNIT, "ExecStart=/opt/agent --socket=/var/run/docker.sock", "/var/run/docker.sock"),
        (UNIT, "ExecStart=/opt/agent --log /var/log/docker.log", ""),
        ("/etc/systemd/system/kubelet.service", "ExecStart=/usr/bin/kubelet --docker-endpoint=unix:///var/run/docker.sock", ""),
        ("/etc/systemd/system/kubelet.service", "ExecStartPre=-/usr/bin/docker rm kubelet", "docker rm"),
        ("/lib/systemd/system/docker.service", "ExecStart=/usr/bin/docker ps", ""),
        ("/etc/systemd/system/docker.service.d/10.conf", "ExecStartPost=/usr/bin/docker ps", ""),
        ("/etc/systemd/system/other.service.d/10.conf", "ExecStartPost=/usr/bin/docker ps", "docker ps"),
    ],
)  # fmt: skip
def test_other_files(path, text, expected):
    assert what(text, path) == expected


@pytest.mark.parametrize(
    "interpreter, text, expected",
    [
        ("#!/bin/sh", "docker ps", "docker ps"),
        ("#!/usr/bin/env bash", "for id in $(docker ps -q); do docker kill $id; done", "docker ps, docker kill"),
        ("#!/bin/sh", "export DOCKER_HOST=unix:///run/docker.sock", "DOCKER_HOST, /run/docker.sock"),
        ("#!/bin/sh", "echo $DOCKER_HOST", ""),
        ("#!/usr/bin/python3", "subprocess.run(['docker', 'ps'])", "docker ps"),
        ("#!/usr/bin/python3", 'os.system("sudo /usr/bin/docker rm x")', "docker rm"),
        ("#!/usr/bin/python3", "client = docker.from_env()", "docker-py"),
        ("#!/usr/bin/env python3", "import docker", "docker-py"),
        ("#!/usr/bin/python3", "import dockerfile", ""),
        ("#!/usr/bin/python3", "s.connect('/var/run/docker.sock')", "/var/run/docker.sock"),
        ("#!/usr/bin/python3", "log = '/var/log/docker-gc.log'", ""),
        ("#!/usr/bin/python3", "print('docker is gone')", ""),
        ("#!/usr/bin/perl", "my $list = `docker ps`;", "docker ps"),
        ("#!/usr/bin/python3", "os.environ['DOCKER_HOST'] = 'tcp://build.example:2376'", ""),
        (
            "#!/usr/bin/python3",
            "os.environ['DOCKER_HOST'] = 'unix:///run/docker.sock'",
            "DOCKER_HOST, /run/docker.sock",
        ),
    ],
)
def test_scripts(interpreter, text, expected):
    assert what(text, "/opt/x", interpreter=interpreter, called_by=("/etc/cron.d/x:1",)) == expected


def test_a_script_that_speaks_to_another_machine_throughout():
    lines = ("export DOCKER_HOST=tcp://build.example:2376", "docker ps")
    mentions = tuple(
        Mention("/opt/x", number, text, "#!/bin/sh", ("/etc/cron.d/x:1",)) for number, text in enumerate(lines, 1)
    )
    assert docker_callers.calls(Facts(docker_mentions=mentions)) == []
    assert docker_callers.calls(Facts(docker_mentions=mentions[1:]))


@pytest.mark.parametrize(
    "os, name, is_run",
    [
        ("debian", "gc", True),
        ("debian", "gc.sh", False),
        ("rocky", "gc.sh", True),
        ("rocky", ".placeholder", False),
        ("rocky", "gc~", False),
        ("rocky", "gc.rpmsave", False),
        ("debian", "gc.dpkg-old", False),
        ("sles", "gc.bak", False),
    ],
)
def test_files_that_cron_passes_over(os, name, is_run):
    facts = Facts(
        os=OperatingSystem(id=os), docker_mentions=(Mention(f"/etc/cron.d/{name}", 1, "@daily root docker ps"),)
    )
    assert bool(docker_callers.calls(facts)) is is_run


def unit(**given):
    return Unit("x.service", **{"load_state": "loaded", "unit_file_state": "static", "fragment_path": UNIT, **given})


@pytest.mark.parametrize(
    "known, is_used",
    [
        (unit(active_state="active", unit_file_state="disabled"), True),
        (unit(unit_file_state="enabled"), True),
        (unit(unit_file_state="static"), True),
        (unit(unit_file_state="disabled", triggered_by=("x.timer",)), True),
        (unit(unit_file_state="disabled"), False),
        (unit(unit_file_state="disabled", active_state="failed"), False),
        (unit(load_state="masked", fragment_path="/dev/null"), None),  # hidden
        (unit(fragment_path="/run/systemd/system/x.service"), None),  # another file of that name goes before this one
        (unit(fragment_path="/opt/x/x.service", unit_file_state="linked"), True),
        (unit(fragment_path="/lib/systemd/system/x.service", drop_in_paths=(UNIT,)), True),
    ],
)
def test_a_service_counts_as_systemd_has_it(known, is_used):
    facts = Facts(docker_mentions=(Mention(UNIT, 9, "ExecStart=/usr/bin/docker ps"),), mentioning_units=(known,))
    found = docker_callers.calls(facts)
    assert [call.is_used for call in found] == ([] if is_used is None else [is_used])


def test_usr_lib_and_lib_are_one():
    path = "/usr/lib/systemd/system/x.service"
    facts = Facts(
        docker_mentions=(Mention(path, 9, "ExecStart=/usr/bin/docker ps"),),
        mentioning_units=(unit(fragment_path="/lib/systemd/system/x.service"),),
    )
    assert [call.is_used for call in docker_callers.calls(facts)] == [True]


@pytest.mark.parametrize("instances, is_used", [((), False), ((unit(fragment_path=UNIT.replace("x.", "x@."), active_state="active"),), True)])  # fmt: skip
def test_a_template_counts_by_its_instances(instances, is_used):
    mention = Mention(UNIT.replace("x.", "x@."), 9, "ExecStart=/usr/bin/docker ps")
    facts = Facts(docker_mentions=(mention,), mentioning_units=instances)
    assert [call.is_used for call in docker_callers.calls(facts)] == [is_used]


def test_a_script_is_used_if_one_of_its_callers_is():
    mention = Mention("/opt/x", 2, "docker ps", "#!/bin/sh", (f"{UNIT}:9", "/etc/cron.d/x:1"))
    idle = (unit(unit_file_state="disabled"),)
    assert docker_callers.calls(Facts(docker_mentions=(mention,), mentioning_units=idle))[0].is_used
    by_unit = Mention("/opt/x", 2, "docker ps", "#!/bin/sh", (f"{UNIT}:9",))
    assert not docker_callers.calls(Facts(docker_mentions=(by_unit,), mentioning_units=idle))[0].is_used


ID = "a" * 64
POD = {"io.kubernetes.pod.name": "cadvisor-x", "io.kubernetes.pod.namespace": "monitoring"}


@pytest.mark.parametrize(
    "client, said",
    [
        (
            DockerClient(7, "cadvisor", (f"/kubepods/burstable/pod1/{ID}", "/")),
            "cadvisor (pid 7, pod monitoring/cadvisor-x)",
        ),
        (DockerClient(7, "watchtower", (f"/docker/{'b' * 64}",)), "watchtower (pid 7, container watch)"),
        (DockerClient(7, "docker", ("/system.slice/backup.service", "/")), "docker (pid 7, backup.service)"),
        (DockerClient(7, "python3", ("/user.slice/user-0.slice/session-3.scope",)), "python3 (pid 7, session-3.scope)"),
        (DockerClient(7, "java", ("/", "/jenkins")), "java (pid 7, cgroup /jenkins)"),
        (DockerClient(7, "java", ("/",)), "java (pid 7)"),
        (DockerClient(7, "java"), "java (pid 7)"),
    ],
)
def test_a_client_is_named_with_what_it_belongs_to(client, said):
    containers = (Container(ID, "k8s_x", labels=POD), Container("b" * 64, "watch"))
    assert docker_callers.clients(Facts(docker=Docker(containers=containers), docker_clients=(client,))) == [said]


@pytest.mark.parametrize("name", ["kubelet", "dockerd", "cri-dockerd", "containerd"])
def test_those_that_belong_to_docker_or_the_kubelet_are_not_told(name):
    assert docker_callers.clients(Facts(docker_clients=(DockerClient(7, name),))) == []


def test_the_kubelet_is_known_by_its_process_too():
    facts = Facts(kubelet=Kubelet(pid=7), docker_clients=(DockerClient(7, "hyperkube"), DockerClient(8, "hyperkube")))
    assert docker_callers.clients(facts) == ["hyperkube (pid 8)"]


@given(
    st.text(max_size=200),
    st.sampled_from(["/etc/cron.d/x", "/etc/anacrontab", UNIT, "/opt/x", "/etc/cron.daily/x"]),
    st.text(max_size=20),
)
def test_no_line_whatever_makes_it_fail(text, path, interpreter):
    what(text, path, interpreter=interpreter, called_by=("/etc/cron.d/x:1",) if path == "/opt/x" else ())


# ---- the plan

CALLERS = {
    "docker_mentions": [
        {"path": "/etc/cron.d/gc", "line": 3, "text": "@daily root docker login -p hunter2 && docker system prune -f"},
        {"path": "/etc/systemd/system/x.service", "line": 9, "text": "ExecStart=/usr/bin/docker run a"},
    ],
    "mentioning_units": [
        {"name": "x.service", "unit_file_state": "disabled", "fragment_path": "/etc/systemd/system/x.service"}
    ],
}
ON_CONTAINERD = {
    "kubelet": {
        "command_line": [
            "/usr/bin/kubelet",
            "--container-runtime=remote",
            "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
        ]
    },
    "files": {
        "/var/lib/kubelet/kubeadm-flags.env": {
            "content": 'KUBELET_KUBEADM_ARGS="--container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock"\n'
        }
    },
}


def findings(facts):
    return {finding.id: finding for finding in plan.make(facts, Settings(), "w1").findings}


def test_a_plan_names_callers_with_file_and_line_and_no_argument(worker):
    found = findings(worker(CALLERS))
    assert found["docker-caller"].severity == "warn"
    assert "/etc/cron.d/gc:3 (docker login, docker system)" in found["docker-caller"].message
    assert "x.service" not in found["docker-caller"].message
    assert found["docker-caller-idle"].severity == "info"
    assert "/etc/systemd/system/x.service:9 (docker run)" in found["docker-caller-idle"].message
    assert "hunter2" not in repr(found)


def test_a_real_node_with_callers_of_every_kind(facts_of):
    """Recorded with cron, services, a timer, a template's instance, a masked service, scripts, and a client in another network."""
    facts = facts_of("docker-callers")
    found = {call.path: (call.line, call.what, call.is_used) for call in docker_callers.calls(facts)}
    assert found == {
        "/etc/cron.d/login": (2, "docker login", True),
        "/etc/cron.daily/ask": (2, "/var/run/docker.sock", True),
        "/etc/systemd/system/logs@.service": (2, "docker events", True),
        "/etc/systemd/system/off.service": (3, "docker ps", False),
        "/etc/systemd/system/timed.service": (3, "docker info", True),
        "/etc/systemd/system/watch.service": (2, "docker events", True),
        "/usr/local/sbin/count": (3, "docker ps", True),
        "/usr/local/sbin/gc": (2, "docker system", True),
    }
    assert [name.split(" (")[0] for name in docker_callers.clients(facts)] == ["docker"] * 3
    assert facts.docker_group == ("ann",)


def test_many_callers_are_counted(worker):
    many = [{"path": f"/etc/cron.d/a{n}", "line": 1, "text": "@daily root docker ps"} for n in range(14)]
    message = findings(worker({"docker_mentions": many}))["docker-caller"].message
    assert message.count("docker ps") == 10
    assert message.endswith("and 4 more")


@pytest.mark.parametrize("active, told", [("active", False), ("inactive", True)])
def test_on_a_node_that_runs_on_containerd_only_a_docker_that_is_gone_is_missed(worker, active, told):
    """Docker beside Kubernetes is left alone, and so is who uses it."""
    changes = {**CALLERS, **ON_CONTAINERD, "units": {"docker.service": {"active_state": active}}}
    made = plan.make(worker(changes), Settings(), "w1")
    assert made.source == "containerd"
    assert ("docker-caller" in {finding.id for finding in made.findings}) is told


def test_clients_and_the_group(worker):
    changes = {"docker_clients": [{"pid": 7, "name": "java", "cgroups": ["/jenkins"]}, {"pid": 8, "name": "kubelet"}], "docker_group": ["ann", "joe"]}  # fmt: skip
    found = findings(worker(changes))
    assert (found["docker-client"].severity, found["docker-group"].severity) == ("warn", "info")
    assert "java (pid 7, cgroup /jenkins)" in found["docker-client"].message
    assert "kubelet" not in found["docker-client"].message
    assert found["docker-group"].message.endswith("ann, joe")


def test_nothing_is_said_of_a_node_that_was_not_looked_at_or_has_none(worker):
    ids = {"docker-caller", "docker-caller-idle", "docker-client", "docker-group"}
    assert not ids & findings(worker()).keys()
    assert not ids & findings(worker({"docker_mentions": [], "docker_clients": [], "docker_group": []})).keys()
