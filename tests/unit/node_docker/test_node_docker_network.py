"""What Docker put into a node's firewall goes, and nothing else does."""

import unittest

from unshim_node import docker_network

# `iptables-save` of a node in the lab: Docker 20.10, kube-proxy's and the host ports' rules beside it
FIREWALL = r"""
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o eth1 -m comment --comment "the administrator's" -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:DOCKER - [0:0]
:DOCKER_OUTPUT - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"lab\" id: \"1\"" -j CNI-DN-1
COMMIT
"""


def applied(text, rules):
    """Return the lines of iptables-save that are left, having done ``rules`` in order as iptables would."""
    table, lines = "", []
    for line in text.splitlines():
        table = line[1:] if line.startswith("*") else table
        lines.append((table, line))
    for rule in rules:
        if rule.arguments[0] == "-D":
            wanted = ["-A"] + list(rule.arguments[1:])
            found = [entry for entry in lines if entry[0] == rule.table and docker_network.words_of(entry[1]) == wanted]
        else:
            chain = rule.arguments[1]
            found = [entry for entry in lines if entry[0] == rule.table and entry[1].startswith(":%s " % chain)]
            users = [entry for entry in lines if entry[0] == rule.table and chain in docker_network.words_of(entry[1])]
            assert not users, "the chain %s is still used: %s" % (chain, users)
        assert found, "iptables would not find %r" % (rule,)
        lines.remove(found[0])
    return [line for _, line in lines]


class TestFirewall(unittest.TestCase):
    def test_everything_of_docker_goes_and_nothing_else(self):
        rules, kept = docker_network.firewall_rules(FIREWALL)
        left = applied(FIREWALL, rules)
        self.assertEqual(kept, [])
        self.assertEqual([line for line in left if "DOCKER" in line],
                         [":DOCKER_OUTPUT - [0:0]", "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT"])  # fmt: skip
        self.assertEqual([line for line in left if line.startswith("-A ")], [
            '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
            '-A FORWARD -i docker0 -o eth1 -m comment --comment "the administrator\'s" -j ACCEPT',
            "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
            "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT",
            "-A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE",
            r'-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"lab\" id: \"1\"" -j CNI-DN-1',
        ])  # fmt: skip

    def test_the_administrators_chain_stays_with_its_jump(self):
        text = FIREWALL.replace(
            "-A DOCKER-USER -j RETURN", "-A DOCKER-USER -s 9.9.9.9/32 -j DROP\n-A DOCKER-USER -j RETURN"
        )
        rules, kept = docker_network.firewall_rules(text)
        self.assertEqual(kept, ["DOCKER-USER"])
        self.assertEqual(
            [line for line in applied(text, rules) if "DOCKER-USER" in line],
            [line for line in text.splitlines() if "DOCKER-USER" in line],
        )

    def test_a_chain_the_administrators_jumps_to_stays_in_its_table(self):
        text = FIREWALL.replace(
            "-A DOCKER-USER -j RETURN",
            "-A DOCKER-USER -s 9.9.9.9/32 -j DOCKER-ISOLATION-STAGE-1\n-A DOCKER-USER -j DOCKER",
        )
        rules, kept = docker_network.firewall_rules(text)
        self.assertEqual(kept, ["DOCKER-USER", "DOCKER-ISOLATION-STAGE-1", "DOCKER", "DOCKER-ISOLATION-STAGE-2"])
        left = applied(text, rules)
        self.assertEqual(left.count(":DOCKER - [0:0]"), 1)  # the one of the table nat has gone
        self.assertIn("-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2", left)

    def test_nothing_to_do(self):
        self.assertEqual(docker_network.firewall_rules("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"), ([], []))


if __name__ == "__main__":
    unittest.main()
