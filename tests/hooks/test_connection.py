# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import ssl
from pathlib import Path

import certifi
import pytest
from airflow.sdk import Connection

from airflow_provider_vidu.exceptions import ViduConnectionSettingsError
from airflow_provider_vidu.hooks.connection import ConnectionSettings, read_settings
from airflow_provider_vidu.hooks.vidu import ViduHook
from dev.emulator_client import set_connection

KEY = "sk-secret-4711"


def connection(extra: object = None, password: str | None = KEY, **fields: object) -> Connection:
    text = extra if isinstance(extra, str) or extra is None else json.dumps(extra)
    return Connection(conn_id="vidu_test", conn_type="vidu", password=password, extra=text, **fields)


@pytest.fixture(autouse=True)
def _no_ca_bundle_in_the_environment(monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({}, "https://api.modelverse.cn"),
        ({"host": ""}, "https://api.modelverse.cn"),
        ({"host": "api.umodelverse.ai"}, "https://api.umodelverse.ai"),
        ({"host": "https://api.umodelverse.ai/"}, "https://api.umodelverse.ai"),
        ({"host": " https://api.umodelverse.ai "}, "https://api.umodelverse.ai"),
        ({"host": "https://api.umodelverse.ai/v1/"}, "https://api.umodelverse.ai"),
        ({"host": "http://127.0.0.1:8765"}, "http://127.0.0.1:8765"),
        ({"host": "127.0.0.1", "port": 8765, "schema": "http"}, "http://127.0.0.1:8765"),
        ({"host": "http://127.0.0.1", "port": 8765}, "http://127.0.0.1:8765"),
        ({"host": "http://127.0.0.1:8765", "port": 1}, "http://127.0.0.1:8765"),
        ({"host": "proxy.example.com/vidu/"}, "https://proxy.example.com/vidu"),
        ({"host": "https://[::1]", "port": 8765}, "https://[::1]:8765"),
    ],
)
def test_the_base_url_is_understood_with_or_without_scheme_port_path_and_slash(fields, base_url):
    assert read_settings(connection(**fields)).base_url == base_url


@pytest.mark.parametrize(
    "host", ["ftp://example.com", "https://", "https://user:pass@example.com", "https://a.com?x=1", "https://a:b:c"]
)
def test_a_base_url_that_is_none_is_refused(host):
    with pytest.raises(
        ViduConnectionSettingsError, match=r"host must be a base URL of the form .* Nothing was sent or paid\. Correct"
    ) as caught:
        read_settings(connection(host=host))
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    ("password", "extra", "authorization"),
    [
        (KEY, None, KEY),
        (KEY, {"auth_scheme": None}, KEY),
        (KEY, {"auth_scheme": "key"}, KEY),
        (KEY, {"auth_scheme": "bearer"}, f"Bearer {KEY}"),
        (f"Bearer {KEY}", None, KEY),
        (f"bearer  {KEY}\n", {"auth_scheme": "bearer"}, f"Bearer {KEY}"),
    ],
)
def test_the_key_is_sent_alone_unless_the_connection_says_bearer(password, extra, authorization):
    assert read_settings(connection(extra, password)).authorization == authorization


def test_null_and_empty_extras_are_unset():
    unset = ("auth_scheme", "timeout", "max_requests_per_minute", "verify", "proxies")
    extra = {**dict.fromkeys(unset), "X-Header": "1"}
    assert read_settings(connection(extra)) == ConnectionSettings("https://api.modelverse.cn", KEY)
    assert read_settings(connection({"timeout": "", "verify": ""})) == read_settings(connection())


def test_every_extra_is_read(tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    proxies = {"https": "http://proxy:3128"}
    extra = {"auth_scheme": "bearer", "timeout": "7.5", "verify": str(bundle), "proxies": proxies}
    extra["max_requests_per_minute"] = "120"
    expected = ConnectionSettings("https://api.modelverse.cn", KEY, "bearer", 7.5, str(bundle), proxies, 120.0)
    assert read_settings(connection(extra)) == expected


@pytest.mark.parametrize(("verify", "expected"), [(False, False), ("false", False), (True, True), ("True", True)])
def test_verify_is_understood_as_a_truth_value_and_as_its_text(verify, expected):
    assert read_settings(connection({"verify": verify})).verify is expected


@pytest.mark.parametrize("verify", [None, True, "true"])
def test_both_hooks_take_the_environments_ca_bundle(monkeypatch, verify):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert read_settings(connection({"verify": verify})).verify == certifi.where()


@pytest.fixture(params=["no file", "another format", "a directory without certificates"])
def unusable(request, tmp_path):
    """The path of something that no HTTP library can load as a CA bundle."""
    if request.param == "a directory without certificates":
        return str(tmp_path)
    path = tmp_path / "corp.cer"
    if request.param == "another format":
        first = re.search(r"-----BEGIN.*?-----END CERTIFICATE-----", Path(certifi.where()).read_text(), re.DOTALL)
        path.write_bytes(ssl.PEM_cert_to_DER_cert(first[0]))
    return str(path)


@pytest.mark.parametrize("key", ["verify", "download_verify"])
def test_a_ca_bundle_that_cannot_be_loaded_is_refused(unusable, key):
    with pytest.raises(ViduConnectionSettingsError) as raised:
        read_settings(connection({key: unusable}))
    assert f"{key} in extra must be true, false or the path of a CA bundle in PEM format that is on this mach" in str(
        raised.value
    )


def test_a_ca_bundle_of_the_environment_that_cannot_be_loaded_is_refused(unusable, monkeypatch):
    monkeypatch.setenv("CURL_CA_BUNDLE", unusable)
    with pytest.raises(ViduConnectionSettingsError, match="REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in the environment"):
        read_settings(connection())


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ({"auth_scheme": "basic"}, "auth_scheme in extra must be key or bearer, got 'basic'"),
        (
            {"max_requests_per_minute": 0},
            "extra must be a number above 0 and up to 86,400, got 0",
        ),
        (
            {"max_requests_per_minute": "many"},
            "extra must be a number above 0 and up to 86,400, got 'many'",
        ),
        ({"timeout": 0}, "timeout in extra must be a number of seconds above 0 and up to 86,400, got 0"),
        ({"timeout": "soon"}, "timeout in extra must be a number of seconds above 0 and up to 86,400, got 'soon'"),
        ({"timeout": 1e10}, "timeout in extra must be a number of seconds above 0 and up to 86,400, got 10000000000.0"),
        ({"timeout": True}, "timeout in extra must be a number of seconds above 0 and up to 86,400, got True"),
        ({"timeout": [1]}, r"timeout in extra must be a number of seconds above 0 and up to 86,400, got \[1\]"),
        ({"verify": "/no/such/file"}, "verify in extra must be true, false or the path .*, got '/no/such/file'"),
        ({"verify": 1}, "verify in extra must be true, false or the path of a CA bundle .*, got 1"),
        (
            {"proxies": {"htps": "http://proxy:1"}},
            "proxies in extra must map http, https or all to http:// or https:",
        ),
        ({"proxies": "http://proxy"}, "proxies in extra must map http, https or all to http:// or https:// URLs"),
        ({"proxies": {"https": 1}}, "proxies in extra must map http, https or all to http:// or https:// URLs"),
        (
            {"proxies": {"https": "http://user:sk-secret-4711@"}},
            "proxies in extra must map http, https or all to http:// or https:// URLs",
        ),
        ({"proxies": {"https": "socks5://proxy:1080"}}, "SOCKS is not supported"),
        (
            {"proxies": {"https": "proxy:3128"}},
            "proxies in extra must map http, https or all to http:// or https:// URLs",
        ),
        ("[1]", "extra must be a JSON object, got a list"),
    ],
)
def test_a_wrong_extra_is_refused_by_name(extra, text):
    with pytest.raises(ViduConnectionSettingsError, match=text) as caught:
        read_settings(connection(extra))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("password", [None, "", "  ", "Bearer "])
def test_a_connection_without_a_key_is_refused(password):
    with pytest.raises(
        ViduConnectionSettingsError, match=r"connection 'vidu_test': password must be the API key, got none"
    ):
        read_settings(connection(password=password))


@pytest.mark.parametrize("password", ["a b", "clé-secrète", "a\nb"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(password):
    with pytest.raises(ViduConnectionSettingsError, match=r"password must be an API key of printable ASCII") as caught:
        read_settings(connection(password=password))
    assert password not in str(caught.value)


def test_settings_do_not_show_the_key():
    assert KEY not in repr(read_settings(connection()))


@pytest.mark.parametrize(("key", "scrubbed"), [("sk-secret", "bad key ***"), ("e", "bad key e")])
def test_a_key_is_scrubbed_unless_it_is_too_short_to_tell_from_text(key, scrubbed):
    assert ConnectionSettings("https://x", key).scrub(f"bad key {key}") == scrubbed


def test_a_misspelt_field_of_extra_is_named_in_the_log(monkeypatch, caplog):
    set_connection(monkeypatch, extra={"donwload_verify": False, "timeout": 5})
    assert ViduHook().settings().download_verify is True
    (line,) = [text for text in caplog.messages if "the provider does not know" in text]
    assert "the fields ['donwload_verify'] in extra and ignores them. Known fields: auth_scheme, download_pr" in line
