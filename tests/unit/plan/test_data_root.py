"""Where containerd's data goes: by the numbers, by the operator's word, and by what an earlier run has done."""

import json
from dataclasses import replace

import pytest

from unshim import containerd_config, plan, plan_data_root, plan_text, records
from unshim.facts import File
from unshim.plan_model import Settings

GB = 10**9
JOURNAL = "/var/lib/unshim/journal.json"
CONFIG = containerd_config.PATH


def disk(path, device="/dev/vdb1", size=200, available=150, filesystem="ext4", **more):
    return {
        "path": path,
        "device": device,
        "filesystem": filesystem,
        "size": size * GB,
        "available": int(available * GB),
        **more,
    }


def node(docker_root="/data/docker", docker=None, ours=None, **changes):
    """A worker whose Docker is on a disk of its own, and whose root disk is small."""
    return {
        "files": {"/etc/docker/daemon.json": {"content": json.dumps({"data-root": docker_root})}},
        "docker": {"root": docker_root, "default_runtime": "runc"},
        "mounts": {
            docker_root: docker or disk("/data"),
            "/var/lib/containerd": ours or disk("/", "/dev/vda1", 10, 0.7),
        },
        **changes,
    }


def found(made, id):
    return [finding.message for finding in made.findings if finding.id == id]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (node(), "/data/containerd"),
        (node("/data/deep/docker"), "/data/containerd"),
        (node("/data/containerd"), ""),  # Docker itself has that name, and nothing beside it is on that disk
        (node("/mnt/a/containerd/docker", disk("/mnt/a")), "/mnt/a/containerd/containerd"),
        (node("/mnt/a/x/containerd", disk("/mnt/a")), "/mnt/a/containerd"),
        (node("/srv/docker", disk("/", "/dev/vda1"), disk("/var", "/dev/vda2", 10, 0.7)), "/srv/containerd"),
        (
            node("/opt/docker", disk("/", "/dev/vda1"), disk("/var", "/dev/vda2", 10, 0.7)),
            "",
        ),  # /opt/containerd is taken
        (node("/data", disk("/data")), ""),  # all of the disk is Docker's
        # enough room here, but too little would be left; then just enough
        (node(ours=disk("/", "/dev/vda1", 10, 2.2)), "/data/containerd"),
        (node(ours=disk("/", "/dev/vda1", 10, 2.4)), ""),
        # no better there
        (node(docker=disk("/data", available=0.5)), ""),
        (node(docker=disk("/data", filesystem="nfs4")), ""),
        (node(docker=disk("/data", filesystem="tmpfs")), ""),
        (node(docker=disk("/data", filesystem="xfs", ftype="0")), ""),
        (node(docker=disk("/data", read_only=True)), ""),
        # one disk under two names
        (node(docker=disk("/data", "/dev/vda1")), ""),
        (node(containerd={"root": "/elsewhere/containerd"}), ""),  # somebody has decided
    ],
)
def test_by_the_numbers(worker, settings_of, changes, expected):
    made = plan.make(worker(changes), settings_of(), "w1")
    assert made.containerd_root == expected
    switch = [change.path for change in made.files if change.stage == "switch"]
    assert (CONFIG in switch) == bool(expected)


def test_why_it_stays_is_said_with_numbers(worker, settings_of):
    made = plan.make(worker(node(docker=disk("/data", filesystem="nfs4", device="nas:/x"))), settings_of(), "w1")
    (message,) = found(made, "containerd-root-stays")
    assert "nfs4" in message and "139.7 GiB" in message and "667.6 MiB" in message
    (message,) = found(made, "not-enough-space")
    assert "nas:/x at /data" in message and "/dev/vda1 at /" in message


def test_docker_needs_room_on_its_own_disk(worker, settings_of):
    changes = node(docker=disk("/data", available=0.3), ours=disk("/", "/dev/vda1", 100, 90))
    (message,) = found(plan.make(worker(changes), settings_of(), "w1"), "not-enough-space")
    assert "/data/docker" in message and "/dev/vdb1" in message


def test_a_disk_that_gets_full_is_warned_of(worker, settings_of):
    full = disk("/", "/dev/vda1", 10, 2.2)
    made = plan.make(worker(node(docker=full, ours=full)), settings_of(), "w1")
    assert made.containerd_root == "" and not made.blockers
    (message,) = found(made, "image-disk-nearly-full")
    assert "15%" in message and "1.3 GiB of 9.3 GiB" in message


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("containerd", "full path"),
        ("/", "full path"),
        ("/data/docker/containerd", "/data/docker"),
        ("/data", "/data/docker"),
        ("/var/lib/containerd/new", "/var/lib/containerd"),
        ("/mnt/ram/containerd", "tmpfs"),
        ("/mnt/nas/containerd", "nfs4"),
        ("/mnt/ro/containerd", "read-only"),
        ("/opt/containerd", "something else"),
    ],
)
def test_what_cannot_be_a_root_is_refused(worker, settings_of, asked, words):
    changes = node()
    changes["mounts"] |= {
        "/mnt/ram": disk("/mnt/ram", "tmpfs", filesystem="tmpfs"),
        "/mnt/nas": {"path": "", "filesystem": "nfs4"},
        "/mnt/ro": disk("/mnt/ro", "/dev/sr0", read_only=True),
    }
    made = plan.make(worker(changes), settings_of(containerd_root=asked), "w1")
    (finding,) = [finding for finding in made.blockers if finding.id == "containerd-root-unusable"]
    assert words in finding.message and finding.remedy
    assert made.containerd_root == ""


def test_the_operator_can_keep_it_where_it_is(worker, settings_of):
    made = plan.make(
        worker(node(ours=disk("/", "/dev/vda1", 10, 2.2))), settings_of(containerd_root="/var/lib/containerd/"), "w1"
    )
    assert made.containerd_root == "" and not made.blockers
    assert found(made, "image-disk-nearly-full")


def test_an_imported_root_is_not_overridden(worker, settings_of):
    changes = node(containerd={"root": "/imported"})
    changes["files"][CONFIG] = {"content": 'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]\n'}
    made = plan.make(worker(changes), settings_of(containerd_root="/data/containerd"), "w1")
    assert "imports" in found(made, "containerd-root-unusable")[0]


def test_containers_of_others_keep_it_where_it_is(worker, settings_of):
    made = plan.make(worker(node(containerd={"other_tasks": {"default": 2}})), settings_of(), "w1")
    assert "2 in namespace default" in found(made, "containerd-root-in-use")[0]
    # Docker's own are stopped before the switch, so they do not count
    assert not found(plan.make(worker(node()), settings_of(), "w1"), "containerd-root-in-use")


def carried_out(facts, made, stage):
    files = dict(facts.files)
    for change in made.files:
        if change.stage == stage:
            assert (files[change.path].content if change.path in files else None) == change.before, change.path
            files[change.path] = File(change.path, "file", change.after, mode=change.mode)
    return replace(facts, files=files)


def with_note(facts, state, **note):
    content = json.dumps({"format": 1, "state": state, "source": "dockershim", "notes": {"containerd_root": note}})
    return replace(facts, files={**facts.files, JOURNAL: File(JOURNAL, "file", content)})


def test_both_stages_change_the_same_file(worker, settings_of):
    facts = worker(node())
    made = plan.make(facts, settings_of(), "w1")
    first, second = [change for change in made.files if change.path == CONFIG]
    assert (first.stage, second.stage) == ("prepare", "switch")
    assert first.before == facts.files[CONFIG].content and first.after == second.before
    assert containerd_config.root(containerd_config.parse(first.after)) == ""
    assert containerd_config.root(containerd_config.parse(second.after)) == "/data/containerd"
    text = plan_text.render(made)
    assert "/var/lib/containerd -> /data/containerd, at the switch" in text
    assert "into /data/containerd" in text
    units = [(change.unit, change.action) for change in made.units if change.stage == "switch"]
    assert (
        units.index(("docker.service", "mask"))
        < units.index(("containerd.service", "restart"))
        < units.index(("kubelet.service", "start"))
    )


def test_a_prepared_node_has_only_the_switch_left(worker, settings_of):
    facts = worker(node())
    first = plan.make(facts, settings_of(), "w1")
    images = {move.id: list(move.names) for move in first.images}
    facts = with_note(carried_out(facts, first, "prepare"), "prepared", path="/data/containerd", images=images)
    # the numbers have changed, and do not matter any more
    roomy = replace(facts.mounts["/var/lib/containerd"], available=9 * GB)
    again = plan.make(replace(facts, mounts={**facts.mounts, "/var/lib/containerd": roomy}), settings_of(), "w1")
    assert again.containerd_root == "/data/containerd"
    assert again.images == ()
    assert [change for change in again.files if change.stage == "prepare"] == []
    assert [c for c in again.files if c.path == CONFIG] == [
        c for c in first.files if c.path == CONFIG and c.stage == "switch"
    ]
    # an image that came to the node since is moved, too
    newer = first.images[-1]
    partly = with_note(
        facts, "prepared", path="/data/containerd", images={k: v for k, v in images.items() if k != newer.id}
    )
    assert plan.make(partly, settings_of(), "w1").images == (newer,)
    # another directory was meant: all again
    elsewhere = with_note(facts, "prepared", path="/data/other", images=images)
    assert plan.make(elsewhere, settings_of(containerd_root="/data/containerd"), "w1").images == first.images


def test_a_run_cut_short_in_the_switch_goes_on(worker, settings_of):
    facts = worker(node())
    first = plan.make(facts, settings_of(), "w1")
    images = {move.id: list(move.names) for move in first.images}
    facts = with_note(carried_out(facts, first, "prepare"), "drained", path="/data/containerd", images=images)
    docker = replace(facts.docker, answers=False, root="", containers=(), images=())
    facts = replace(facts, docker=docker, kubelet=replace(facts.kubelet, command_line=(), pid=0))
    stopped = plan.make(facts, settings_of(), "w1")
    assert stopped.containerd_root == "/data/containerd" and not stopped.blockers
    # config.toml is written, the kubelet is not: containerd has its directory, nothing of it is left
    (change,) = [change for change in stopped.files if change.path == CONFIG]
    assert change.stage == "switch"
    facts = replace(facts, files={**facts.files, CONFIG: File(CONFIG, "file", change.after)})
    written = plan.make(
        replace(facts, containerd=replace(facts.containerd, root="/data/containerd")), settings_of(), "w1"
    )
    assert written.containerd_root == "" and written.containerd_root_now == "/data/containerd"
    assert CONFIG not in {change.path for change in written.files}
    assert not written.blockers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, 'version = 2\nroot = "/d/c"\n'),
        ("", 'version = 2\nroot = "/d/c"\n'),
        ("version = 2", 'version = 2\nroot = "/d/c"\n'),
        ("# mine\nversion = 2\n\n[grpc]\n", '# mine\nversion = 2\nroot = "/d/c"\n\n[grpc]\n'),
        ("[plugins]\n", 'root = "/d/c"\n[plugins]\n'),
        ("root = '/var/lib/containerd' # big\nversion = 2\n", 'root = "/d/c" # big\nversion = 2\n'),
        ('version = 2\r\nroot = "/d/c"\r\n', 'version = 2\r\nroot = "/d/c"\r\n'),
        ("version = 2\r\n[grpc]\r\n", 'version = 2\r\nroot = "/d/c"\r\n[grpc]\r\n'),
        (
            'version = 2\n[plugins."x"]\nroot = "/other"\n',
            'version = 2\nroot = "/d/c"\n[plugins."x"]\nroot = "/other"\n',
        ),
    ],
)
def test_the_line_in_config_toml(text, expected):
    made = containerd_config.with_root(text, "1.6.20", "/d/c")
    assert made.removeprefix(containerd_config.HEADER) == expected
    assert containerd_config.with_root(made, "1.6.20", "/d/c") == made


def test_a_layout_that_cannot_be_edited_is_refused():
    with pytest.raises(containerd_config.ConfigError):
        containerd_config.with_root('imports = ["a",\nroot = "x"]\n', "1.6.20", "/d/c")
    with pytest.raises(containerd_config.ConfigError):
        containerd_config.with_root('version = """\nversion = 2\n"""\n', "1.6.20", "/d/c")


def test_facts_of_a_full_disk_survive_the_way_through_ansible(worker, settings_of):
    made = plan.make(worker(node()), settings_of(), "w1")
    assert records.from_data(type(made), records.to_data(made)) == made
    assert Settings().containerd_root == "" and made.containerd_root_now == plan_data_root.DEFAULT


def test_images_are_unpacked_for_the_snapshotter_that_will_be_used(worker, settings_of):
    assert plan.make(worker(), settings_of(), "w1").snapshotter == ""
    btrfs = node(docker=disk("/data", filesystem="btrfs"))
    btrfs["docker"]["storage_driver"] = "btrfs"
    btrfs["files"]["/etc/docker/daemon.json"]["content"] = '{"data-root": "/data/docker", "storage-driver": "btrfs"}'
    made = plan.make(worker(btrfs), settings_of(), "w1")
    (config,) = [change for change in made.files if change.path == CONFIG and change.stage == "switch"]
    assert made.snapshotter == "btrfs" == containerd_config.snapshotter(containerd_config.parse(config.after))
    own = worker(
        {
            "files": {
                CONFIG: {
                    "content": 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\nsnapshotter = "native"\n'
                }
            }
        }
    )
    assert plan.make(own, settings_of(), "w1").snapshotter == "native"


def test_a_system_with_selinux_is_told_of_labels(worker, settings_of):
    made = plan.make(worker(node(os={"id": "rocky", "id_like": ["rhel", "centos", "fedora"]})), settings_of(), "w1")
    assert "/data/containerd" in found(made, "containerd-root-label")[0]
    assert not found(plan.make(worker(node()), settings_of(), "w1"), "containerd-root-label")
