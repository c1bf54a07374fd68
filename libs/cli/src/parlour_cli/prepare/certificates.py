"""A certificate authority for one broker, and the broker's certificate.

The authority's private key is needed to make the next certificate only; clients are given
``ca.crt``. Names that are addresses are written as such, because clients compare them so.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from parlour_kit.errors import ParlourError

CA_DAYS = 3650
DAYS = 825
"""What clients accept at most of a certificate."""

SLACK = timedelta(minutes=5)
"""A clock may be behind the one of the machine that signed."""

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?")


class CertificateError(ParlourError):
    """A certificate cannot be made."""

    code = "CERTIFICATE"


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def make_authority(now: datetime) -> Pair:
    """A new authority, for ``CA_DAYS``.

    Args:
        now: with a time zone.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("Parlour broker authority")
    certificate = (
        _builder(name, name, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(_signed_by(key), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def issue(authority: Pair, names: Sequence[str], now: datetime, days: int = DAYS) -> Pair:
    """A certificate for a broker that is reached under these names.

    Args:
        authority: who signs.
        names: host names and addresses; a client checks the one that it connects to.
        now: with a time zone.
        days: how long it counts.

    Raises:
        CertificateError: there is no name, one is not a name, or the authority cannot be used or
            ends before the certificate would.
    """
    if not names:
        raise CertificateError(
            "no name is given", hint="name what clients connect to: parlour.local 192.168.1.5"
        )
    try:
        issuer = x509.load_pem_x509_certificate(authority.certificate)
        signer = load_pem_private_key(authority.key, None)
    except (ValueError, TypeError):
        raise CertificateError(
            "the authority cannot be read", hint="remove its folder to have a new one made"
        ) from None
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise CertificateError("the authority's key is of another kind")
    if issuer.not_valid_after_utc < now + timedelta(days=days):
        raise CertificateError(
            f"the authority itself ends on {issuer.not_valid_after_utc:%Y-%m-%d}",
            hint="remove its folder to have a new one made, then give clients the new ca.crt",
        )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_named(names[0][:64]), issuer.subject, key.public_key(), now, days)
        .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_signed_by(signer), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return _pair(certificate, key)


def names_of(certificate: bytes) -> list[str]:
    """The names that a certificate is for; none when the bytes are no certificate."""
    try:
        found = x509.load_pem_x509_certificate(certificate)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]


def ends(certificate: bytes) -> datetime:
    """When a certificate ends, in UTC."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if len(name) > 253 or _HOST.fullmatch(name) is None:
        raise CertificateError(
            f"this is neither a host name nor an address: {name[:80]!r}",
            hint="for example parlour.local or 192.168.1.5",
        )
    return x509.DNSName(name.removesuffix("."))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed_by(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
