"""The HTTP server itself, on a real socket of the loopback."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from config_manager.fronts.rest import create_app
from config_manager.fronts.rest_server import MAX_HEADER_BYTES, Tls, is_loopback, serve_rest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from parlour_kit.errors import StartupError


@pytest.fixture(autouse=True)
async def real_time():
    """The server's clients have a clock of their own."""
    asyncio.get_running_loop().become_real()


@pytest.fixture
async def server():
    running = await serve_rest(create_app(None), "127.0.0.1", 0)
    yield running
    await running.stop()


@pytest.fixture
def certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    tls = Tls(tmp_path / "rest.crt", tmp_path / "rest.key")
    tls.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    tls.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return tls


async def test_it_answers_on_a_free_port_of_the_loopback(server):
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{server.port}/healthz")

    assert answer.json() == {"status": "ok"}
    assert "server" not in answer.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "parlour.example"])
async def test_an_open_address_without_tls_is_refused(host):
    with pytest.raises(StartupError, match="clear"):
        await serve_rest(create_app(None), host, 0)


async def test_an_open_address_with_tls_is_served(certificate):
    running = await serve_rest(create_app(None), "0.0.0.0", 0, certificate)
    try:
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            answer = await client.get(f"https://127.0.0.1:{running.port}/healthz")
    finally:
        await running.stop()

    assert answer.status_code == 200


async def test_certificates_that_cannot_be_used_are_told_at_start(tmp_path):
    tls = Tls(tmp_path / "none.crt", tmp_path / "none.key")

    with pytest.raises(StartupError, match="certificate"):
        await serve_rest(create_app(None), "127.0.0.1", 0, tls)


async def test_a_port_in_use_is_told_with_its_number():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(StartupError, match=str(port)):
            await serve_rest(create_app(None), "127.0.0.1", port)


async def test_endless_headers_are_cut_off(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (MAX_HEADER_BYTES * 4))
    await writer.drain()
    answer = await reader.read(100)
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400")


async def test_after_a_stop_nobody_listens():
    running = await serve_rest(create_app(None), "127.0.0.1", 0)
    await running.stop()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", running.port)


async def test_only_the_loopback_counts_as_this_machine():
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == (
        [True] * 4
    )
    assert not any(is_loopback(host) for host in ("0.0.0.0", "10.0.0.1", "localhost.example", ""))
