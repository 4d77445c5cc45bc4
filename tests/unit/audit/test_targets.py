"""What an Ansible inventory says about reaching nodes, and what of it cannot be used."""

import pytest

from unshim import targets
from unshim.targets import Defaults


def target(defaults=Defaults(), **variables):  # noqa: B008  it is frozen
    listing = {"_meta": {"hostvars": {"w1.example": variables}}}
    return targets.read(listing, ["w1.example"], defaults)[0]


def test_a_host_without_variables_is_reached_by_ssh_under_its_name():
    found = target()
    assert (found.connection, found.address, found.port, found.user, found.become) == (
        "ssh",
        "w1.example",
        0,
        "",
        "sudo",
    )
    assert found.problem == ""


@pytest.mark.parametrize(
    "variables, field, value",
    [
        ({"ansible_host": "10.0.0.1"}, "address", "10.0.0.1"),
        ({"ansible_ssh_host": "10.0.0.1"}, "address", "10.0.0.1"),
        ({"ansible_port": "2222"}, "port", 2222),
        ({"ansible_user": "ops"}, "user", "ops"),
        ({"ansible_ssh_pass": "p"}, "password", "p"),
        ({"ansible_ssh_private_key_file": "~/.ssh/k"}, "key", "~/.ssh/k"),
        ({"ansible_connection": "community.docker.docker"}, "connection", "docker"),
        ({"ansible_connection": "local"}, "connection", "local"),
        ({"ansible_become": False}, "become", ""),
        ({"ansible_become": "no"}, "become", ""),
        ({"ansible_become_method": "community.general.doas"}, "become", "doas"),
        ({"ansible_become_pass": "p"}, "become_password", "p"),
        ({"ansible_host_key_checking": False}, "host_key", "no"),
        ({"ansible_ssh_common_args": "-o StrictHostKeyChecking=yes"}, "host_key", "yes"),
        ({"ansible_ssh_common_args": "-F /etc/mine -C"}, "ssh_config", "/etc/mine"),
        ({"ansible_ssh_common_args": "-J b@bastion:22"}, "ssh_options", (("proxyjump", "b@bastion:22"),)),
        (
            {"ansible_ssh_common_args": "-o ProxyCommand='ssh -W %h:%p b' -oConnectTimeout=5"},
            "ssh_options",
            (("proxycommand", "ssh -W %h:%p b"), ("connecttimeout", "5")),
        ),
        ({"ansible_ssh_extra_args": '-o "User me"'}, "ssh_options", (("user", "me"),)),
        (
            {"ansible_host": "{{ inventory_hostname_short }}.{{ zone }}", "zone": "{{ z }}", "z": "lan"},
            "address",
            "w1.lan",
        ),
    ],
)
def test_variables(variables, field, value):
    found = target(**variables)
    assert found.problem == ""
    assert getattr(found, field) == value


@pytest.mark.parametrize(
    "variables, says",
    [
        ({"ansible_connection": "kubectl"}, "no connection kubectl"),
        ({"ansible_become_method": "su"}, "not by su"),
        ({"ansible_port": "ssh"}, "'ssh', which is no port"),
        ({"ansible_host": "{{ lookup('env', 'X') }}"}, "ansible_host is a template that only Ansible can resolve"),
        ({"ansible_host": "{{ ansible_host }}"}, "leads to itself"),
        ({"ansible_password": {"__ansible_vault": "$ANSIBLE_VAULT;1.1"}}, "ANSIBLE_VAULT_PASSWORD_FILE"),
        ({"ansible_ssh_common_args": "-o 'A=b"}, "ansible_ssh_common_args cannot be read"),
        ({"unshim_containerd_archives": 3}, "unshim_... variable has the wrong type"),
    ],
)
def test_what_cannot_be_used_is_said_with_a_remedy(variables, says):
    problem = target(**variables).problem
    assert says in problem
    assert problem.endswith((".", "value.")) and "\n" not in problem


def test_the_inventory_goes_before_what_applies_elsewhere():
    base = Defaults(user="a", key="k", become_password="p", check_host_key=False)
    assert (target(base).user, target(base).key, target(base).host_key) == ("a", "k", "no")
    own = target(base, ansible_user="b", ansible_host_key_checking=True)
    assert (own.user, own.host_key) == ("b", "")
    assert target(Defaults(never_become=True), ansible_become=True).become == ""


def test_settings_are_those_of_the_playbooks():
    found = target(unshim_cri_endpoint="unix:///x", unshim_no_proxy="a, b", unshim_all_images="true", unshim_soak=3)
    assert (found.settings.cri_endpoint, found.settings.no_proxy) == ("unix:///x", ("a", "b"))
    assert found.settings.all_images is True


def test_passwords_are_not_in_what_python_prints():
    assert "secret" not in repr(target(ansible_password="secret", ansible_become_password="secret"))


def test_members_of_groups_and_of_groups_in_them():
    listing = {
        "kube_node": {"children": ["big", "kube_node"], "hosts": ["a"]},
        "big": {"hosts": ["b", "a"]},
        "kube_control_plane": {"hosts": ["c"]},
        "registry": {"hosts": ["r"]},
    }
    assert targets.members(listing, targets.DEFAULT_GROUPS) == ["a", "c", "b"]
    assert targets.members(listing, ["nothing"]) == []
