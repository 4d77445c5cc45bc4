"""The certificates of mode service: real handshakes with them, and when which is made anew."""

import datetime
import socket
import ssl
import threading

import pytest
from cryptography import x509

from unshim.dind import certificates
from unshim.dind.certificates import AUTHORITY, CLIENT, SERVER

NOW = datetime.datetime.now(datetime.UTC)
NAMES = certificates.names("unshim-dind")


def days(count):
    return NOW + datetime.timedelta(days=count)


@pytest.fixture(scope="module")
def issued():
    return certificates.renew({}, NAMES, NOW)


def files(tmp_path, name, texts):
    paths = {}
    for key, text in texts.items():
        paths[key] = tmp_path / f"{name}-{key}"
        paths[key].write_text(text)
    return paths


def handshake(tmp_path, server, client, host):
    """Return what a client and a server with these certificates say of each other: "ok", or why not."""
    server_files, client_files = files(tmp_path, "server", server), files(tmp_path, "client", client)
    # As dockerd --tlsverify asks.
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(server_files["cert.pem"], server_files["key.pem"])
    serving.load_verify_locations(server_files["ca.pem"])
    serving.verify_mode = ssl.CERT_REQUIRED
    asking = ssl.create_default_context(cafile=client_files["ca.pem"])
    if "cert.pem" in client_files:
        asking.load_cert_chain(client_files["cert.pem"], client_files["key.pem"])
    one, other = socket.socketpair()
    said = []

    def serve():
        try:
            with serving.wrap_socket(one, server_side=True) as stream:
                stream.sendall(b"hello")
        except (ssl.SSLError, OSError) as error:
            said.append(f"server: {error}")
            one.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with asking.wrap_socket(other, server_hostname=host) as stream:
            return "ok" if stream.recv(5) == b"hello" else "nothing came"
    except (ssl.SSLError, OSError) as error:
        return f"client: {error}"
    finally:
        other.close()
        thread.join(10)


@pytest.mark.parametrize("host", NAMES)
def test_a_client_with_its_certificate_is_let_in_by_every_name(host, issued, tmp_path):
    assert handshake(tmp_path, issued.secrets[SERVER], issued.secrets[CLIENT], host) == "ok"


def test_a_client_without_a_certificate_is_refused(issued, tmp_path):
    assert handshake(tmp_path, issued.secrets[SERVER], {"ca.pem": issued.secrets[CLIENT]["ca.pem"]}, "dind") != "ok"


def test_a_client_of_another_authority_is_refused(issued, tmp_path):
    other = certificates.renew({}, NAMES, NOW).secrets[CLIENT]
    stranger = {**other, "ca.pem": issued.secrets[CLIENT]["ca.pem"]}
    assert handshake(tmp_path, issued.secrets[SERVER], stranger, "dind") != "ok"


def test_the_servers_own_certificate_is_no_clients(issued, tmp_path):
    assert handshake(tmp_path, issued.secrets[SERVER], issued.secrets[SERVER], "dind") != "ok"


def test_by_another_name_the_server_is_not_believed(issued, tmp_path):
    assert "verify failed" in handshake(tmp_path, issued.secrets[SERVER], issued.secrets[CLIENT], "dind.other.svc")


def test_all_are_made_at_first_and_none_while_they_are_good(issued):
    assert set(issued.renewed) == {AUTHORITY, SERVER, CLIENT}
    again = certificates.renew(issued.secrets, NAMES, days(200))
    assert again.renewed == {} and again.secrets == issued.secrets


def test_leaves_are_made_anew_when_a_third_of_their_time_is_left(issued):
    later = certificates.renew(issued.secrets, NAMES, days(260))
    assert set(later.renewed) == {SERVER, CLIENT}
    assert later.secrets[AUTHORITY] == issued.secrets[AUTHORITY]
    assert later.server_sha256 != issued.server_sha256


def test_a_new_name_is_a_new_certificate_for_the_server_only(issued):
    assert set(certificates.renew(issued.secrets, [*NAMES, "dind.example"], NOW).renewed) == {SERVER}


def test_old_clients_and_new_ones_are_let_in_while_the_authority_changes(issued, tmp_path):
    # The leaves of the old authority are of a day when they are still good.
    before = certificates.renew({AUTHORITY: issued.secrets[AUTHORITY]}, NAMES, days(2400))
    after = certificates.renew(before.secrets, NAMES, days(2500))
    assert set(after.renewed) == {AUTHORITY, SERVER, CLIENT}
    assert len(x509.load_pem_x509_certificates(after.secrets[SERVER]["ca.pem"].encode())) == 2
    assert before.secrets[AUTHORITY]["ca.pem"] in after.secrets[CLIENT]["ca.pem"]
    old_client = x509.load_pem_x509_certificate(before.secrets[CLIENT]["cert.pem"].encode())
    trusted = x509.load_pem_x509_certificates(after.secrets[SERVER]["ca.pem"].encode())
    signers = [one for one in trusted if one.subject == old_client.issuer]
    old_client.verify_directly_issued_by(signers[0])
    # Once the old one has expired it is no longer trusted.
    last = certificates.renew(after.secrets, NAMES, days(3700))
    assert len(x509.load_pem_x509_certificates(last.secrets[AUTHORITY]["trusted.pem"].encode())) == 2
    gone = certificates.renew({AUTHORITY: after.secrets[AUTHORITY]}, NAMES, days(2500 + 2500))
    assert before.secrets[AUTHORITY]["ca.pem"] not in gone.secrets[AUTHORITY]["trusted.pem"]


@pytest.mark.parametrize("key", ["cert.pem", "key.pem"])
def test_what_was_damaged_is_made_anew(key, issued):
    damaged = {**issued.secrets, SERVER: {**issued.secrets[SERVER], key: "rubbish"}}
    assert set(certificates.renew(damaged, NAMES, NOW).renewed) == {SERVER}


def test_a_key_of_another_certificate_is_noticed(issued):
    mixed = {**issued.secrets, CLIENT: {**issued.secrets[CLIENT], "key.pem": issued.secrets[SERVER]["key.pem"]}}
    assert certificates.renew(mixed, NAMES, NOW).renewed == {CLIENT: "its key is another's"}


def test_the_authoritys_key_is_in_its_own_secret_only(issued):
    key = issued.secrets[AUTHORITY]["ca-key.pem"]
    assert key not in "".join([*issued.secrets[SERVER].values(), *issued.secrets[CLIENT].values()])
