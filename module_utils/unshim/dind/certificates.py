"""The certificates of mode ``service``: an authority of its own, one for dockerd, one for its clients; made and rotated.

dockerd takes a client for allowed if its certificate is of the authority it is told (--tlsverify): who has the client's key is
root on the node. The authority's key is needed at the next rotation only and is in no pod.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Days. A certificate is made anew when a third of its time is left, so a site that runs the playbook once a month never
#: sees one expire.
AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
#: Clocks differ.
_BACKDATED = datetime.timedelta(hours=1)

#: Names of the Secrets; keys as docker's own command line names the files (DOCKER_CERT_PATH).
AUTHORITY, SERVER, CLIENT = "dind-ca", "dind-server-tls", "dind-client-tls"
Texts = Mapping[str, str]  # key of a Secret -> PEM


@dataclass(frozen=True)
class Issued:
    """``secrets``: PEM texts by Secret and key. ``renewed``: what was made anew, and why; empty if all is as it was."""

    secrets: dict[str, dict[str, str]]
    renewed: dict[str, str]

    @property
    def server_sha256(self) -> str:
        server = self.secrets[SERVER]
        return hashlib.sha256((server["cert.pem"] + server["ca.pem"]).encode()).hexdigest()[:16]


def names(namespace: str, cluster_domain: str = "cluster.local") -> list[str]:
    """Return the names and addresses by which clients call the Service ``dind``."""
    return [
        "dind",
        f"dind.{namespace}",
        f"dind.{namespace}.svc",
        f"dind.{namespace}.svc.{cluster_domain}",
        "localhost",
        "127.0.0.1",
    ]


def renew(existing: Mapping[str, Texts], wanted: Sequence[str], now: datetime.datetime) -> Issued:
    """Return the certificates that shall be, keeping of ``existing`` what is good for long enough.

    An authority that is made anew does not take the old one's place at once: both are trusted until the old one has expired,
    so clients that still have their old certificate go on.

    Args:
        existing: Secrets that are there, by name; what is missing or cannot be read is made.
        wanted: the server's names and addresses.
    """
    renewed: dict[str, str] = {}
    authority = existing.get(AUTHORITY, {})
    why = _why_renew(authority.get("ca.pem", ""), authority.get("ca-key.pem", ""), None, now)
    if why:
        renewed[AUTHORITY] = why
        key, certificate = _authority(now)
        trusted = _still_valid(authority.get("trusted.pem", "") or authority.get("ca.pem", ""), now)
        authority = {
            "ca.pem": _pem(certificate),
            "ca-key.pem": _key_pem(key),
            "trusted.pem": _pem(certificate) + trusted,
        }
    secrets = {AUTHORITY: dict(authority)}
    for name, usage, common_name, alternatives in (
        (SERVER, ExtendedKeyUsageOID.SERVER_AUTH, "dind", list(wanted)),
        (CLIENT, ExtendedKeyUsageOID.CLIENT_AUTH, "dind-client", []),
    ):
        there = dict(existing.get(name, {}))
        why = _why_renew(there.get("cert.pem", ""), there.get("key.pem", ""), authority["ca.pem"], now, alternatives)
        if why:
            renewed[name] = why
            leaf_key, leaf = _leaf(authority, usage, common_name, alternatives, now)
            there = {"cert.pem": _pem(leaf), "key.pem": _key_pem(leaf_key)}
        elif there.get("ca.pem") != authority["trusted.pem"]:
            renewed[name] = "the authorities that are trusted have changed"
        there["ca.pem"] = authority["trusted.pem"]
        secrets[name] = there
    return Issued(secrets, renewed)


def _why_renew(
    pem: str, key_pem: str, authority_pem: str | None, now: datetime.datetime, alternatives: Sequence[str] = ()
) -> str:
    """Return why a certificate has to be made anew, "" if it need not."""
    if not pem or not key_pem:
        return "there is none"
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
        if authority_pem is not None:
            certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority_pem.encode()))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is no use
        return f"it is of no use ({type(error).__name__})"
    if key.public_key() != certificate.public_key():
        return "its key is another's"
    began, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends - now < (ends - began) / 3:
        return f"it ends on {ends:%Y-%m-%d}"
    if sorted(alternatives) != _alternatives(certificate):
        return "its names have changed"
    return ""


def _alternatives(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(address) for address in extension.get_values_for_type(x509.IPAddress)]
    return sorted([*extension.get_values_for_type(x509.DNSName), *addresses])


def _still_valid(pems: str, now: datetime.datetime) -> str:
    try:
        found = x509.load_pem_x509_certificates(pems.encode())
    except ValueError:
        return ""
    return "".join(_pem(one) for one in found if one.not_valid_after_utc > now)


def _authority(now: datetime.datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    # The day in its name keeps two authorities apart while both are trusted.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"unshim-dind {now:%Y-%m-%d}")])
    builder = _builder(name, name, key, AUTHORITY_DAYS, now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return key, builder.sign(key, hashes.SHA256())


def _leaf(
    authority: Texts,
    usage: x509.ObjectIdentifier,
    common_name: str,
    alternatives: Sequence[str],
    now: datetime.datetime,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    issuer = x509.load_pem_x509_certificate(authority["ca.pem"].encode())
    signer = serialization.load_pem_private_key(authority["ca-key.pem"].encode(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = _builder(subject, issuer.subject, key, LEAF_DAYS, now)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
    )
    if alternatives:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(one) for one in alternatives]), critical=False
        )
    return key, builder.sign(signer, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
