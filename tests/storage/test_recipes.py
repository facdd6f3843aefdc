# SPDX-License-Identifier: Apache-2.0
"""The connections that docs/stores.md shows, each with a server that has the limits of its store."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.storage.presigned import presigned
from tests import s3_stub
from tests.quick import posts
from tests.storage.videos import generate, store_video, video

pytestmark = pytest.mark.usefixtures("soon", "emulator", "asked_at_once")
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/stores.md").read_text("utf-8")
STORES = {"UCloud US3": "us3", "Aliyun OSS": "oss", "Tencent COS": "cos", "MinIO": "minio"}
PART = s3_stub.PART_BYTES
# Of Azurite's own account, as its page says.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def recipe(store: str) -> dict:
    (text,) = re.findall(rf"^### {store}\n(?:(?!^###).*?)```json\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    return json.loads(text)


@pytest.fixture(scope="module")
def server():
    """A store under the names of all recipes, which only a proxy knows; Airflow keeps its address."""
    with s3_stub.running() as stub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("http_proxy", stub.url)
        patch.setenv("no_proxy", "127.0.0.1")
        for store, conn_id in STORES.items():
            connection = recipe(store)
            bare = {**connection, "extra": {**connection["extra"], "config_kwargs": {}}}
            for name, shown in {conn_id: connection, f"bare_{conn_id}": bare}.items():
                # The stub has no certificate.
                text = json.dumps(shown).replace('"endpoint_url": "https://', '"endpoint_url": "http://')
                patch.setenv(f"AIRFLOW_CONN_{name.upper()}", text)
        yield stub


@pytest.fixture
def limited(server):
    """The same, with nothing in it and the limits of a store."""
    server.forget()

    def limit(conn_id: str):
        server.takes_checksums = conn_id == "minio"
        server.takes_paths = conn_id in ("us3", "minio")
        return server

    return limit


@pytest.mark.parametrize("size", [1000, 2 * PART + 1])
@pytest.mark.parametrize("conn_id", STORES.values())
def test_a_video_is_stored_with_the_connection_of_the_page(run_dag, limited, conn_id, size):
    stub = limited(conn_id)
    assert store_video(run_dag, size, f"s3://{conn_id}@bucket/new/video.mp4").states == {"store": "success"}
    assert {key: found.data == video(size) for key, found in stub.objects.items()} == {"new/video.mp4": True}
    assert stub.sizes == ([] if size < PART else [PART, PART, 1])


@pytest.mark.parametrize("conn_id", STORES.values())
def test_a_generate_task_tries_the_store_before_it_pays(run_dag, limited, emulator, conn_id):
    stub = limited(conn_id)
    ran = generate(run_dag, destination=f"s3://{conn_id}@bucket/new")
    (key,) = stub.objects
    assert ran.xcom("generate")["files"] == [f"s3://{conn_id}@bucket/{key}"]
    assert stub.calls[:2] == [("PutObject", "new/.vidu-probe"), ("DeleteObject", "new/.vidu-probe")]
    assert len(posts(emulator)) == 1


@pytest.mark.parametrize("conn_id", ["oss", "cos"])
def test_a_connection_without_the_lines_of_the_page_costs_nothing(run_dag, limited, emulator, conn_id):
    limited(conn_id)
    assert type(generate(run_dag, destination=f"s3://bare_{conn_id}@bucket/new").error) is ViduDownloadError
    assert posts(emulator) == []


@pytest.mark.parametrize(
    ("store", "conn_id", "host"),
    [
        ("UCloud US3", "us3", "{}"),
        ("Aliyun OSS", "oss", "bucket.{}"),
        ("Tencent COS", "cos", "bucket.{}"),
        ("MinIO", "minio", "{}"),
    ],
)
def test_a_presigned_url_has_the_host_that_the_store_takes(limited, store, conn_id, host):
    limited(conn_id).put("a.mp4", b"content")
    url = urlsplit(presigned(f"s3://{conn_id}@bucket/a.mp4", "video_url").url)
    assert url.netloc == host.format(urlsplit(recipe(store)["extra"]["endpoint_url"]).netloc)
    # Version 4 of the signatures, which all four take.
    assert "X-Amz-Signature" in url.query


@pytest.fixture(scope="module")
def azurite():
    """Microsoft's emulator of Azure Blob Storage behind the connection ``azure``; Airflow keeps its address."""
    program = ROOT / "node_modules/azurite/dist/src/blob/main.js"
    if not program.exists():
        pytest.skip("Azurite is missing. Install npm, then run make azurite.")
    from azure.storage.blob import BlobServiceClient

    command = ["node", program, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--silent"]
    # The library speaks a newer version of the API than the emulator knows.
    command += ["--disableTelemetry", "--skipApiVersionCheck"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, pytest.MonkeyPatch.context() as patch:
        try:
            url = next(found[1] for line in process.stdout if (found := re.search(r"listens on (http:\S+)", line)))
            connection, account = recipe("Azure Blob Storage"), "devstoreaccount1"
            text = connection["extra"]["connection_string"]
            text = text.replace("https://<account>.blob.core.windows.net", f"{url}/{account}")
            text = text.replace("<account>", account).replace("<key>", AZURITE_KEY)
            connection["extra"]["connection_string"] = text
            patch.setenv("AIRFLOW_CONN_AZURE", json.dumps(connection))
            with BlobServiceClient.from_connection_string(text) as client:
                yield client
        finally:
            process.terminate()
            process.communicate()


@pytest.fixture
def container(azurite):
    """The same with one empty container."""
    with azurite.create_container("bucket") as container:
        yield container
        container.delete_container()


# Azure's library hands aiohttp 8 MiB in one piece.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.parametrize("size", [1000, 2 * PART + 1])
def test_a_video_is_stored_in_azure_under_its_literal_name(run_dag, container, size):
    name = "new/一 [x] 100% #~ ?*.mp4"
    assert store_video(run_dag, size, f"abfs://azure@bucket/{name}").states == {"store": "success"}
    assert list(container.list_blob_names()) == [name]
    assert container.download_blob(name).readall() == video(size)


def test_a_generate_task_tries_azure_before_it_pays(run_dag, container, emulator):
    ran = generate(run_dag, destination="abfs://azure@bucket/new")
    (name,) = container.list_blob_names()
    assert ran.xcom("generate")["files"] == [f"abfs://azure@bucket/{name}"]
    assert len(posts(emulator)) == 1


def test_a_container_that_azure_does_not_have_costs_nothing(run_dag, azurite, emulator):
    assert type(generate(run_dag, destination="abfs://azure@missing/new").error) is ViduDownloadError
    assert posts(emulator) == []


def test_a_presigned_url_opens_a_file_in_azure(container):
    container.upload_blob("a.mp4", b"content")
    found = presigned("abfs://azure@bucket/a.mp4", "video_url")
    assert requests.get(found.url, timeout=10).content == b"content"
    assert requests.get(found.url.partition("?")[0], timeout=10).status_code == 403
    etag = container.get_blob_client("a.mp4").get_blob_properties().etag
    assert found.identity == f"abfs://azure@bucket/a.mp4 (7 bytes, {etag})"
