# SPDX-License-Identifier: Apache-2.0
"""Files of a store that are signed anew for each try: the request stays the same until the file changes."""

from __future__ import annotations

import math
import time
from itertools import count

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_vidu.emulator.state import Emulator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.storage import presigned
from tests.batch.nights import night
from tests.quick import Store, context_of, lines, outcomes, posts, tried
from tests.served import clip

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

EXTEND = {"vidu_type": "extend", "model": "viduq2-turbo", "duration": 1, "resolution": "540p"}
VIDEO = "s3://store@bucket/a.mp4"
OTHER_VIDEO = "s3://store@bucket/b.mp4"
GREEN, GOLD = (clip(4, colour) for colour in ("green", "gold"))


@pytest.fixture
def sign_anew(monkeypatch):
    """Have the next signatures differ from those before, as they do a second later."""
    lifetimes = count(3600)
    return lambda: monkeypatch.setattr(presigned, "SIGNED_SECONDS", next(lifetimes))


@pytest.fixture
def fetched(monkeypatch):
    """Wait until the service has fetched the files of all that it accepted."""
    really_accept, generations = Emulator.accept, []

    async def accept(emulator, body):
        generations.append(await really_accept(emulator, body))
        return generations[-1]

    def wait() -> None:
        until = time.monotonic() + 60
        while any(math.isinf(one.finish) for one in generations):
            assert time.monotonic() < until
            time.sleep(0.01)

    monkeypatch.setattr(Emulator, "accept", accept)
    return wait


def given(custom_id: str, **changes: object) -> dict[str, object]:
    return {"custom_id": custom_id, **EXTEND, "video_url": VIDEO, **changes}


def urls(emulator) -> list[str]:
    return [task["body"]["input"]["video_url"] for task in emulator.tasks]


# What happens to the file between a try that was killed while its task runs, and a clear; and how often is paid.
CHANGES = {
    "nothing": (lambda s3: None, 1),
    "the same content is put again": (lambda s3: s3.put_object(Bucket="bucket", Key="a.mp4", Body=GREEN), 1),
    "another content": (lambda s3: s3.put_object(Bucket="bucket", Key="a.mp4", Body=GOLD), 2),
    "it is gone": (lambda s3: s3.delete_object(Bucket="bucket", Key="a.mp4"), 1),
}


@pytest.mark.parametrize("max_tries", [1, 3], ids=["a retry", "a clear"])
@pytest.mark.parametrize(("change", "paid"), CHANGES.values(), ids=list(CHANGES))
def test_a_try_after_a_kill_finds_the_same_request_under_another_signature(
    slow_emulator, s3, sign_anew, fetched, change, paid, max_tries
):
    s3.put_object(Bucket="bucket", Key="a.mp4", Body=GREEN)
    store = Store()
    for tries in (1, max_tries):
        made = context_of(store, tries)
        made["ti"].xcom_push = lambda key, value: None
        operator = ViduGenerateVideoOperator(
            task_id="batch", **EXTEND, video_url=VIDEO, destination="s3://store@bucket"
        )
        with pytest.raises(TaskDeferred):
            operator.execute(made)
        fetched()
        change(s3)
        sign_anew()
    assert len(posts(slow_emulator)) == (paid if max_tries == 3 else 1)
    assert len(set(urls(slow_emulator))) == len(posts(slow_emulator))


@pytest.mark.parametrize("max_tries", [1, 3], ids=["a retry", "a clear"])
@pytest.mark.parametrize(("change", "paid"), CHANGES.values(), ids=list(CHANGES))
def test_a_batch_after_a_kill_finds_the_same_requests(
    slow_emulator, s3, sign_anew, fetched, videos, change, paid, max_tries
):
    s3.put_object(Bucket="bucket", Key="a.mp4", Body=GREEN)
    store = Store()
    for tries in (1, max_tries):
        with pytest.raises(TaskDeferred):
            tried(store, videos, [given("a"), given("b", duration=2)], max_tries=tries, deferrable=True)
        fetched()
        change(s3)
        sign_anew()
    assert len(posts(slow_emulator)) == (2 * paid if max_tries == 3 else 2)


@pytest.mark.usefixtures("ledger")
def test_a_video_that_was_paid_serves_again_until_its_source_changes(emulator, s3, sign_anew, tmp_path):
    for key in ("a.mp4", "b.mp4"):
        s3.put_object(Bucket="bucket", Key=key, Body=GREEN)
    requests = [given("a"), given("same"), given("b", video_url=OTHER_VIDEO), given("c", duration=2)]
    first = night(tmp_path / "first", requests)
    assert first["counts"] == {"success": 3, "reused": 1}
    sign_anew()
    assert night(tmp_path / "second", requests)["counts"] == {"reused": 4}
    s3.put_object(Bucket="bucket", Key="a.mp4", Body=GREEN)
    s3.put_object(Bucket="bucket", Key="b.mp4", Body=GOLD)
    assert night(tmp_path / "third", requests)["counts"] == {"success": 1, "reused": 3}
    assert outcomes(tmp_path / "third")["b"] == "success"
    assert {line["request"]["input"]["video_url"] for line in lines(tmp_path / "third")} == {VIDEO, OTHER_VIDEO}
    assert len(posts(emulator)) == 4


def test_an_item_whose_file_is_missing_is_refused_alone(emulator, s3, videos):
    s3.put_object(Bucket="bucket", Key="a.mp4", Body=GREEN)
    missing = given("b", video_url="s3://store@bucket/none.mp4")
    with pytest.raises(AirflowFailException, match=r"b: refused: video_url must be .*there is no such file"):
        tried(Store(), videos, [given("a"), missing])
    assert outcomes(videos) == {"a": "success", "b": "refused"}
