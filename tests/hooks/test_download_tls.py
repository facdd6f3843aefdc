# SPDX-License-Identifier: Apache-2.0
"""Whose certificate and whose proxy a download trusts: what is meant for the API does not govern other hosts."""

from __future__ import annotations

import datetime
import io
import ipaddress
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_vidu.exceptions import ViduConnectionSettingsError, ViduDownloadError
from airflow_provider_vidu.hooks.vidu import ViduHook
from dev.emulator_client import set_connection
from tests.hooks.test_downloader import downloaded, mp4

pytestmark = pytest.mark.usefixtures("soon")
VIDEO = mp4(1000)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that it has signed itself, with its key, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, *private))
    return path


@pytest.fixture
def host(certificate):
    """A host of videos that speaks TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(VIDEO)))
            self.end_headers()
            self.wfile.write(VIDEO)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()


# The connection's extra, whether the video lies on the API's own host, and whether it is fetched.
TRUST = {
    "nothing said": ({}, False, False),
    "verify is the API's alone": ({"verify": False}, False, False),
    "the API's bundle is the API's alone": ({"verify": "{certificate}"}, False, False),
    "verify of the API's own host": ({"verify": False}, True, True),
    "bundle of the API's own host": ({"verify": "{certificate}"}, True, True),
    "download_verify is not the API's": ({"download_verify": False}, True, False),
    "no check of downloads": ({"download_verify": False}, False, True),
    "a bundle for downloads": ({"download_verify": "{certificate}"}, False, True),
}


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize(("extra", "is_api", "is_fetched"), TRUST.values(), ids=list(TRUST))
def test_a_video_s_host_is_verified_by_its_own_rule(host, certificate, monkeypatch, extra, is_api, is_fetched):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    extra = {name: str(certificate) if value == "{certificate}" else value for name, value in extra.items()}
    set_connection(monkeypatch, host=host if is_api else "https://127.0.0.1:1", extra=extra)
    if is_fetched:
        assert downloaded(f"{host}/a.mp4") == VIDEO
    else:
        hint = "certificate verify failed.*; set download_verify in the connection's extra"
        with pytest.raises(ViduDownloadError, match=hint):
            ViduHook().download(f"{host}/a.mp4", io.BytesIO())


def test_the_environments_bundle_counts_for_downloads_too(host, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    set_connection(monkeypatch, host="https://127.0.0.1:1")
    assert downloaded(f"{host}/a.mp4") == VIDEO


def test_a_proxy_of_the_api_is_not_used_for_other_hosts(monkeypatch, emulator):
    set_connection(monkeypatch, host="http://127.0.0.1:1", extra={"proxies": {"http": "http://127.0.0.1:2"}})
    hook = ViduHook()
    with pytest.raises(ViduDownloadError, match="HTTP 403 instead of the video"):
        hook.download(f"{emulator.url}/files/none.mp4", io.BytesIO())
    with pytest.raises(ViduDownloadError, match="stopped after 0 bytes"):
        hook.download("http://127.0.0.1:1/none.mp4", io.BytesIO())


def test_a_wrong_download_verify_is_refused_when_the_connection_is_read(monkeypatch):
    set_connection(monkeypatch, extra={"download_verify": "/none.pem"})
    with pytest.raises(ViduConnectionSettingsError, match=r"download_verify in extra must be .*, got '/none\.pem'"):
        ViduHook().settings()
