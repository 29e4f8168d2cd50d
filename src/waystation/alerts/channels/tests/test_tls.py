"""Webhooks over TLS: only to who proves the name that the owner typed, by an authority that the machine trusts."""

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from waystation.alerts.channels import outward
from waystation.alerts.channels.tests.site import HERE
from waystation.kernel.outbox import NotSent


def authority(folder: Path) -> Path:
    """A certificate for `localhost` that vouches for itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An owner's own")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "own.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(key.private_bytes(*plain) + made.public_bytes(serialization.Encoding.PEM))
    return file


class Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_said: object) -> None:
        pass


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return authority(tmp_path)


@pytest.fixture
def port(own: Path) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(own)
    server.socket = trust.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  a hand that is not shaken is what we test
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_authority_that_the_machine_trusts_is_enough(own: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    assert outward.post(f"https://localhost:{port}/in", b"{}", {}, HERE).status == 204


def test_an_unknown_authority_gets_nothing(port: int) -> None:
    with pytest.raises(NotSent, match="certificate verify failed"):
        outward.post(f"https://localhost:{port}/in", b"{}", {}, HERE)


def test_a_certificate_of_another_name_gets_nothing(own: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    with pytest.raises(NotSent, match="IP address mismatch"):
        outward.post(f"https://127.0.0.1:{port}/in", b"{}", {}, HERE)
