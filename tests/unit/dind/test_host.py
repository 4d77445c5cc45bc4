"""What a node gets: its iptables flavour, modules and sysctls, from what the probe printed there."""

import subprocess

import pytest

from unshim.dind import host

MODULES = sorted({name for names in host.MODULES.values() for name in names})


def probed(nft="works", legacy="works", modules=None, instances=128, watches=65536):
    modules = {**dict.fromkeys(MODULES, "loaded"), **(modules or {})}
    lines = ["== route", "== kernel", "6.1.0-1-amd64", "== sysctl"]
    lines += [f"fs.inotify.max_user_instances {instances}", f"fs.inotify.max_user_watches {watches}"]
    lines += ["== iptables nft", nft, "== iptables legacy", legacy, "== modules"]
    return host.parse("\n".join([*lines, *(f"{name} {state}" for name, state in modules.items())]))


@pytest.mark.parametrize(
    ("nft", "legacy", "given", "flavour", "problem"),
    [
        ("works", "works", "auto", "nft", ""),
        ("works", "fails: can't initialize iptables table `nat'", "auto", "nft", ""),  # Ubuntu 26.04
        ("fails: RULE_APPEND failed", "works", "auto", "legacy", ""),  # docker-library/docker#467
        ("fails: one", "fails: two", "auto", "auto", "neither flavour of iptables works: iptables-nft fails: one"),
        ("missing", "missing", "auto", "auto", ""),
        ("works", "works", "legacy", "legacy", ""),
        ("works", "fails: no table", "legacy", "legacy", "iptables-legacy was asked for and fails: no table"),
    ],
)
def test_the_flavour_is_the_one_that_works_there(nft, legacy, given, flavour, problem):
    made = host.prepare(probed(nft, legacy), given)
    assert made.iptables == flavour
    assert [problem in one for one in made.problems] == ([True] if problem else [])


def test_where_nothing_could_be_tried_the_kernel_decides():
    absent = {"nf_tables": "absent", "nft_compat": "absent", "nft_chain_nat": "absent"}
    assert host.prepare(probed("missing", "missing", absent)).iptables == "legacy"


def test_a_module_the_kernel_lacks_is_said_with_the_remedy():
    """RHEL 10: docker/docker-ce-packaging#1340."""
    made = host.prepare(probed("fails: No chain/target/match by that name", "missing", {"xt_addrtype": "absent"}))
    assert any("xt_addrtype" in one and "kernel-modules-extra" in one for one in made.problems)


def test_a_module_by_another_name_is_no_problem_where_the_rules_hold():
    assert host.prepare(probed(modules={"nft_chain_nat": "absent"})).problems == ()


def test_what_is_loaded_now_is_loaded_at_every_start_and_what_is_built_in_is_left_out():
    made = host.prepare(probed(modules={"nft_compat": "loadable", "overlay": "builtin", "ip_tables": "loadable"}))
    assert made.load == ("nft_compat",)
    lines = made.files[host.MODULES_FILE].splitlines()[1:]
    assert "nft_compat" in lines and "overlay" not in lines and "ip_tables" not in lines


def test_nothing_to_load_is_no_file():
    made = host.prepare(probed(modules=dict.fromkeys(MODULES, "builtin")))
    assert host.MODULES_FILE not in made.files


def test_a_sysctl_is_raised_and_never_lowered():
    made = host.prepare(probed(instances=128, watches=1048576))
    assert made.sysctls == {"fs.inotify.max_user_instances": 512}
    assert made.files[host.SYSCTL_FILE].splitlines()[1:] == [
        "fs.inotify.max_user_instances = 512",
        "fs.inotify.max_user_watches = 1048576",
    ]


def test_a_kernel_whose_modules_cannot_be_seen_is_no_problem():
    made = host.prepare(probed("missing", "missing", dict.fromkeys(MODULES, "unknown")))
    assert (made.iptables, made.problems, made.load) == ("auto", (), ())


def test_one_flavour_for_all_nodes_or_each_start_finds_out():
    nft, legacy = host.prepare(probed()), host.prepare(probed("fails: x", "works"))
    assert host.common_flavour({"a": nft, "b": nft}) == "nft"
    assert host.common_flavour({"a": nft, "b": legacy}) == "auto"
    assert host.common_flavour({}) == "auto"


def test_the_probe_itself_runs_here_and_is_understood():
    """Its answers are this machine's; that it asks for all, and leaves no trace, is what can be said of any."""
    done = subprocess.run(["sh", "-c", host.PROBE], text=True, capture_output=True, check=True)
    seen = host.parse(done.stdout)
    assert done.stderr == ""
    assert seen.kernel and seen.routes.startswith("Iface")
    assert set(seen.modules) == set(MODULES) and set(seen.sysctls) == set(host.SYSCTLS)
    assert set(seen.iptables) == {"nft", "legacy"} and all(seen.iptables.values())
