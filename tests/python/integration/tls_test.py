"""TLS: the server is checked, and with mTLS the client, too."""

import shutil
import subprocess

import grpc
import pytest

import attnserve
from attnserve import _contract as pb
from attnserve import errors
from fake_server import FakeServer

SERVING = pb.HealthCheckResponse(status=1).SerializeToString()


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """(key, certificate) of localhost, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", folder / "key", "-out", folder / "certificate"], check=True, capture_output=True)
    return (folder / "key").read_bytes(), (folder / "certificate").read_bytes()


def health(server, **tls):
    with attnserve.Client(server.address, tls=attnserve.Tls(**tls), timeout=5,
                          retry=attnserve.RetryPolicy(max_attempts=1)) as client:
        return client.check_health()


def test_trusted_server_is_talked_to(identity):
    with FakeServer({"Check": [SERVING]}, grpc.ssl_server_credentials([identity])) as server:
        assert health(server, root_certificates=identity[1]) == "SERVING"


def test_unknown_server_is_not(identity):
    with FakeServer({"Check": [SERVING]}, grpc.ssl_server_credentials([identity])) as server:
        with pytest.raises(errors.UnavailableError):
            health(server)
        with pytest.raises(errors.UnavailableError):
            health(server, root_certificates=identity[1], server_name="elsewhere")


def test_client_shows_its_certificate(identity):
    key, certificate = identity
    credentials = grpc.ssl_server_credentials([identity], certificate, require_client_auth=True)
    with FakeServer({"Check": [SERVING]}, credentials) as server:
        assert health(server, root_certificates=certificate, private_key=key,
                      certificate_chain=certificate) == "SERVING"
        with pytest.raises(errors.UnavailableError):
            health(server, root_certificates=certificate)
