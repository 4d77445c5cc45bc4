"""Faults of package installation: an upgrade of containerd from a repository of its own, on the node itself."""

import time

import node_snapshot
import pytest

# A package is made of the installed containerd's files, with a higher version, and a repository of it on the node. Its
# postinst waits while /run/lab-hold is there.
REPOSITORY = r"""
set -e
rm -rf /srv/lab-apt && mkdir -p /srv/lab-apt/tree/DEBIAN
cd /srv/lab-apt
old=$(dpkg-query -W -f '${Version}' containerd)
new="$old+lab1"
dpkg -L containerd | grep -v ^/etc/ | while read -r path; do
  if [ -f "$path" ] && [ ! -L "$path" ]; then mkdir -p "tree${path%/*}" && cp -a "$path" "tree$path"; fi
done
dpkg-query -s containerd | sed -e '/^Status:/d' -e '/^Conffiles:/,/^[^ ]/{/^Conffiles:/d;/^ /d}' -e "s/^Version: .*/Version: $new/" >tree/DEBIAN/control
for name in preinst prerm postrm; do
  if [ -f /var/lib/dpkg/info/containerd.$name ]; then cp /var/lib/dpkg/info/containerd.$name tree/DEBIAN/$name; fi
done
sed '1a while [ -e /run/lab-hold ]; do sleep 0.1; done' /var/lib/dpkg/info/containerd.postinst >tree/DEBIAN/postinst
chmod 0755 tree/DEBIAN/postinst
dpkg-deb -Zgzip -z1 -b tree containerd_lab1_amd64.deb >/dev/null
{ cat tree/DEBIAN/control
  printf 'Filename: ./containerd_lab1_amd64.deb\nSize: %s\nSHA256: %s\n' "$(stat -c %s containerd_lab1_amd64.deb)" \
    "$(sha256sum containerd_lab1_amd64.deb | cut -d ' ' -f 1)"
} >Packages
rm -rf tree
mkdir -p /var/cache/lab-sources
mv /etc/apt/sources.list /etc/apt/sources.list.d /var/cache/lab-sources 2>/dev/null || true
mkdir -p /etc/apt/sources.list.d
echo 'deb [trusted=yes] http://127.0.0.1:8097 ./' >/etc/apt/sources.list
systemd-run --collect --unit lab-apt python3 -m http.server -d /srv/lab-apt -b 127.0.0.1 8097 2>/dev/null
until python3 -c 'import urllib.request; urllib.request.urlopen("http://127.0.0.1:8097/Packages")' 2>/dev/null; do sleep 0.1; done
apt-get update -q >/dev/null
printf '%s' "$new"
"""
# The old version's package can be had nowhere here, so it is made of the installed one, too: a test leaves what it found.
KEEP = r"""
set -e
rm -rf /srv/lab-old && mkdir -p /srv/lab-old/tree/DEBIAN && cd /srv/lab-old
dpkg -L containerd | while read -r path; do
  if [ -f "$path" ] && [ ! -L "$path" ]; then mkdir -p "tree${path%/*}" && cp -a "$path" "tree$path"; fi
done
dpkg-query -s containerd | sed -e '/^Status:/d' -e '/^Conffiles:/,/^[^ ]/{/^Conffiles:/d;/^ /d}' >tree/DEBIAN/control
for name in preinst prerm postinst postrm conffiles triggers; do
  if [ -f /var/lib/dpkg/info/containerd.$name ]; then cp /var/lib/dpkg/info/containerd.$name tree/DEBIAN/$name; fi
done
dpkg-deb -Zgzip -z1 -b tree old.deb >/dev/null
rm -rf tree
"""
BACK = r"""
rm -f /run/lab-hold
dpkg --configure -a
apt-mark unhold containerd >/dev/null 2>&1
dpkg --force-downgrade --force-confold -i /srv/lab-old/old.deb
systemctl stop lab-apt
if [ -d /var/cache/lab-sources ]; then
  rm -rf /etc/apt/sources.list /etc/apt/sources.list.d
  mv /var/cache/lab-sources/* /etc/apt/
  rm -rf /var/cache/lab-sources
fi
rm -rf /srv/lab-apt /srv/lab-old /var/cache/apt/archives/containerd_* /var/lib/apt/lists/127.0.0.1*
systemctl is-active containerd >/dev/null || systemctl start containerd
"""
STATUS = "dpkg-query -W -f '${Version} ${db:Status-Status}' containerd"


@pytest.fixture
def upgrade(fault):
    """The version that the repository on the node has."""
    fault.on(KEEP)
    # At the very end, when the node is on Docker again, before its files are compared.
    version = fault.on(REPOSITORY)
    before, fault.files = fault.files, node_snapshot.take(fault.lab, fault.victim)
    fault.may_differ += ("file /root/.ansible",)  # Ansible's own, of a run that was killed
    yield version
    fault.lab.back_to_docker(fault.victim)
    fault.on(BACK)
    fault.files = before


@pytest.mark.fault(1, "controller killed during the installation of a package")
def test_controller_killed(fault, upgrade):
    fault.on("touch /run/lab-hold")
    fault.undo(lambda: fault.on("rm -f /run/lab-hold"))
    run = fault.start(unshim_containerd_version=upgrade)
    fault.lab.wait_on_node(fault.victim, "pgrep -f containerd[.]postinst", 600)
    run.kill()
    fault.injected("SIGKILL of the controller while the package's postinst ran; apt and dpkg go on")
    fault.safe("docker")
    # The next run comes while they are still at it, and waits for them.
    run = fault.start(unshim_containerd_version=upgrade)
    run.wait_for_task("preflight : Observe the node")
    time.sleep(10)
    assert fault.on("pgrep -f containerd[.]postinst", check=False), "the installation did not go on by itself"
    fault.remove_cause()
    ended = run.finish()
    assert ended.code == 0, ended.output[-5000:]
    assert fault.on(STATUS) == f"{upgrade} installed"
    fault.safe("containerd")
    fault.keeps_data()
    fault.consistent()


@pytest.mark.fault(7, "a package's download fails")
def test_download_fails(fault, upgrade):
    """The lists know the package, and its file is gone from the server, as with lists of last week."""
    before = fault.on(STATUS)
    fault.on("mv /srv/lab-apt/containerd_lab1_amd64.deb /srv/lab-apt/away")
    fault.undo(lambda: fault.on("mv /srv/lab-apt/away /srv/lab-apt/containerd_lab1_amd64.deb"))
    fault.injected("before the run: the server answers 404")
    run = fault.migrate(unshim_containerd_version=upgrade)
    fault.failed(run, "containerd_lab1_amd64.deb", "404")
    fault.safe("docker")
    assert fault.on(STATUS) == before
    fault.keeps_data()
    fault.remove_cause()
    fault.rerun(unshim_containerd_version=upgrade)
    assert fault.on(STATUS) == f"{upgrade} installed"


@pytest.mark.fault(8, "a package transaction is interrupted: dpkg leaves the package half configured")
def test_half_configured(fault, upgrade):
    fault.on("touch /run/lab-hold")
    fault.undo(lambda: fault.on("rm -f /run/lab-hold"))
    run = fault.start(unshim_containerd_version=upgrade)
    fault.lab.wait_on_node(fault.victim, "pgrep -f containerd[.]postinst")
    run.kill()
    # The power goes for apt and dpkg, too.
    fault.on("pkill -KILL -x apt-get; pkill -KILL -x dpkg; pkill -KILL -f 'containerd[.]postinst'; true")
    fault.injected("SIGKILL of controller, apt, dpkg and the package's postinst, which ran")
    assert fault.on(STATUS) == f"{upgrade} half-configured"
    fault.safe("docker")
    fault.remove_cause()
    fault.rerun(unshim_containerd_version=upgrade)
    assert fault.on(STATUS) == f"{upgrade} installed"
