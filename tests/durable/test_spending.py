# SPDX-License-Identifier: Apache-2.0
"""Budgets: what is submitted within them, refused above them, and counted when nobody knows its outcome."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout

from airflow_provider_vidu.durable import spending
from airflow_provider_vidu.durable.entries import Entry, cny_of, total
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.emulator import KEY
from airflow_provider_vidu.exceptions import ViduBudgetError, ViduStateError
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from tests.ledgers import entry_in
from tests.quick import PRICE, QUICK, Store, asked, lines, many, outcomes, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once", "at_once")


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(spending, "PAUSE_SECONDS", 0.001)


@pytest.fixture
def budget(monkeypatch):
    def set_to(amount: object, period: str = "daily") -> None:
        monkeypatch.setenv(f"AIRFLOW__VIDU__{period.upper()}_BUDGET", str(amount))

    return set_to


def submitted(task_id: str = "submit", **arguments: object) -> str:
    names = {"dag_id": "dag", "run_id": "run", "task_id": task_id, "map_index": -1}
    ti = SimpleNamespace(max_tries=1, try_number=1, xcom_push=lambda key, value: None, **names)
    operator = ViduSubmitOperator(task_id=task_id, **(QUICK | arguments))
    return operator.execute({"ti": ti, "task_state_store": Store()})


def entries(ledger) -> list:
    return [name for month in ledger.months() for name in ledger.spent(month)]


def test_a_submit_is_an_entry_with_its_task(emulator, ledger):
    vidu_task_id = submitted()
    (name,) = entries(ledger)
    assert (name.units, entry_in(ledger, name).vidu_task_id) == (31_000, vidu_task_id)
    assert entry_in(ledger, name)._replace(request={}, fingerprint="") == Entry(
        "dag", "run", "submit", -1, "", "vidu_default", {}, vidu_task_id
    )
    assert entry_in(ledger, name).fingerprint.startswith(name.request)
    assert entry_in(ledger, name).request["input"] == {"prompt": "a kite"}


def test_no_key_and_no_content_of_a_file_is_in_the_ledger(emulator, ledger, frame):
    submitted(vidu_type="img2video", model="viduq2-turbo", resolution="720p", first_frame_url=str(frame))
    texts = [path.read_text() for path in Path(ledger.root).rglob("*.json")]
    assert len(texts) == 2
    assert not [text for text in texts if "base64" in text or KEY in text]


@pytest.mark.parametrize("period", ["daily", "monthly"])
def test_a_budget_lets_through_what_it_covers_and_no_more(emulator, ledger, budget, period, capfd):
    budget(0.93, period)
    for _ in range(3):
        submitted()
    with pytest.raises(AirflowFailException) as raised:
        submitted()
    assert str(raised.value).startswith(
        f"[vidu] {period}_budget must cover the submit, which costs about ¥0.31, got ¥0.93, of which ¥0.93 is spent or "
        "planned. Nothing was sent or paid for it. The budget resets at "
    )
    assert len(posts(emulator)) == 3
    assert total(entries(ledger)) == 93_000
    resets = r"\d{4}-\d\d-\d\d 00:00 Asia/Shanghai"
    line = rf"{period.capitalize()} budget: about ¥(\S+) of ¥0.93 left until {resets}"
    shown = re.findall(line, capfd.readouterr().out)
    assert shown == ["0.62", "0.31", "0.00", "0.00"]


def test_a_submit_that_no_reset_can_make_affordable_is_told_so(emulator, ledger, budget):
    budget(0.3)
    with pytest.raises(AirflowFailException) as raised:
        submitted()
    assert str(raised.value) == (
        "[vidu] daily_budget must cover the submit, which costs about ¥0.31, got ¥0.3, of which ¥0 is spent or "
        "planned. Nothing was sent or paid for it. No reset helps, since this submit alone costs more: raise the "
        "budget, or make a cheaper request."
    )
    assert (posts(emulator), entries(ledger)) == ([], [])


def test_the_author_may_leave_it_to_retries(emulator, ledger, budget):
    budget(0)
    with pytest.raises(ViduBudgetError, match=r"daily_budget must cover .* got ¥0, of which ¥0 is spent"):
        submitted(on_budget="retry")
    assert (posts(emulator), entries(ledger)) == ([], [])


def test_the_smaller_of_two_budgets_decides(emulator, ledger, budget):
    budget(10)
    budget(0.62, "monthly")
    submitted()
    submitted()
    with pytest.raises(AirflowFailException, match="monthly_budget must cover"):
        submitted()
    assert len(posts(emulator)) == 2


def test_a_submit_of_unknown_outcome_counts_as_spent(emulator, ledger, budget):
    budget(0.31)
    emulator.arm({"on": "submit", "fault": "accept_then_drop"})
    with pytest.raises(AirflowFailException, match="may have accepted"):
        submitted()
    with pytest.raises(AirflowFailException, match="daily_budget must cover"):
        submitted("another")
    (name,) = entries(ledger)
    assert entry_in(ledger, name).vidu_task_id == ""


@pytest.mark.parametrize("fault", [{"fault": "error", "status": 400}, {"fault": "error", "status": 403}])
def test_a_submit_that_was_refused_is_not_spent(emulator, ledger, budget, fault):
    budget(0.31)
    emulator.arm({"on": "submit", **fault})
    with pytest.raises(Exception, match="HTTP 40"):
        submitted()
    assert entries(ledger) == []
    submitted()


def test_an_unknown_price_is_refused_under_a_budget_alone(emulator, ledger, budget):
    unknown = {"model": "vidu-of-tomorrow"}
    submitted(**unknown)
    budget(100)
    with pytest.raises(
        AirflowFailException, match="prices must contain a price for every submit under a budget, got 1"
    ):
        submitted(**unknown)
    assert len(posts(emulator)) == 1


@pytest.mark.parametrize("amount", ["much", "-1", "nan", "inf"])
def test_a_budget_that_is_none_is_refused(emulator, ledger, budget, amount):
    budget(amount)
    with pytest.raises(AirflowFailException, match="daily_budget must be an amount in CNY of 0 or more, got"):
        submitted()
    assert posts(emulator) == []


def test_a_budget_needs_a_ledger(emulator, budget, monkeypatch):
    monkeypatch.delenv("AIRFLOW__VIDU__LEDGER", raising=False)
    budget(1)
    with pytest.raises(AirflowFailException, match=r"\[vidu\] ledger must be set if daily_budget is, got none"):
        submitted()
    assert posts(emulator) == []


def test_a_batch_takes_as_many_items_as_fit_in_their_order(emulator, ledger, budget, videos):
    budget(3.5)
    with pytest.raises(AirflowFailException, match=r"9 unsubmitted.*No retry can recover"):
        tried(Store(), videos, many(20), retries=2)
    assert [outcome for _, outcome in sorted(outcomes(videos).items())] == ["success"] * 11 + ["unsubmitted"] * 9
    assert len(posts(emulator)) == 11
    assert cny_of(total(entries(ledger))) == 3.41


def test_a_batch_may_leave_the_rest_to_retries_after_the_period(emulator, ledger, budget, videos):
    budget(0.62)
    store = Store()
    with pytest.raises(Exception, match="A retry can recover 1 of them"):
        tried(store, videos, many(3), on_budget="retry")
    budget(10)
    assert tried(store, videos, many(3), on_budget="retry")["counts"] == {"success": 3}
    assert len(posts(emulator)) == 3


def test_a_batch_under_a_budget_needs_every_price(emulator, ledger, budget, videos):
    budget(100)
    with pytest.raises(AirflowFailException, match="got 1 without one: b: "):
        tried(Store(), videos, [asked("a"), asked("b", model="vidu-of-tomorrow")])
    assert posts(emulator) == []


@pytest.mark.parametrize("how", ["spent", "requests"])
def test_a_ledger_that_fails_before_the_post_sends_nothing_and_one_that_fails_after_it_is_logged(
    emulator, ledger, how, capfd
):
    Path(ledger.root).mkdir()
    (Path(ledger.root) / how).write_text("in the way")
    if how == "spent":
        with pytest.raises(ViduStateError, match=r"Could not write the ledger.*Nothing was sent or paid for these"):
            submitted()
        assert posts(emulator) == []
    else:
        vidu_task_id = submitted()
        assert f"Could not record the accepted Vidu tasks ['{vidu_task_id}'] in the ledger" in capfd.readouterr().out


def test_a_batch_whose_ledger_fails_sends_nothing(emulator, ledger, videos):
    Path(ledger.root).write_text("in the way")
    with pytest.raises(Exception, match="3 unsubmitted"):
        tried(Store(), videos, many(3))
    assert posts(emulator) == []


def _submits_until_refused(root: str, environment: dict[str, str]) -> None:
    _begin(root, environment)
    while not _is_refused():
        pass


def _is_refused() -> bool:
    try:
        submitted()
    except AirflowFailException as error:
        if "daily_budget must cover" not in str(error):
            raise
        return True
    return False


def _begin(root: str, environment: dict[str, str]) -> None:
    os.environ.update(environment, AIRFLOW__VIDU__LEDGER=root, AIRFLOW__VIDU__DAILY_BUDGET="10")
    spending.PAUSE_SECONDS = 0.001


def _batches_until_refused(root: str, environment: dict[str, str]) -> None:
    _begin(root, environment)
    families: set[str] = set()
    while "budget" not in families:
        batch = f"{root}-{os.getpid()}-{time.monotonic_ns()}"
        with suppress(AirflowException):
            tried(Store(), batch, many(5))
        families = {line["family"] for line in lines(Path(batch))}


# The second form is for "make test-long".
@pytest.mark.parametrize("runs", [1, pytest.param(20, marks=pytest.mark.long)])
def test_eight_processes_at_once_never_pass_a_budget_and_nearly_spend_it(emulator, tmp_path, runs):
    spent = []
    for number in range(runs):
        emulator.control("POST", "reset")
        spent.append(_spent_by_eight_processes(emulator, Ledger(str(tmp_path / f"ledger-{number}"))))
    assert [amount for amount in spent if not 9 <= amount <= 10] == []


def _spent_by_eight_processes(emulator, ledger: Ledger) -> float:
    works = [_submits_until_refused, _batches_until_refused] * 4
    # Not forked from this process, whose threads and event loops a child would share.
    start = get_context("forkserver").Process
    processes = [start(target=work, args=(ledger.root, dict(os.environ))) for work in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    spent = len(emulator.tasks) * PRICE
    assert round(cny_of(total(entries(ledger))), 2) == round(spent, 2)
    return spent


def test_time_that_is_over_before_the_post_leaves_nothing_spent(emulator, ledger, budget, monkeypatch):
    budget(1)

    def over(self, period):
        raise AirflowTaskTimeout("Time is over")

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "spent", over)
        with pytest.raises(AirflowTaskTimeout):
            submitted()
    assert (entries(ledger), posts(emulator)) == ([], [])


def test_the_earlier_days_of_a_month_count(emulator, ledger, budget):
    budget(0.93, "monthly")
    submitted()
    (name,) = entries(ledger)
    day = name.day[:-2] + ("01" if name.day[-2:] != "01" else "02")
    ledger.intend({name._replace(day=day): entry_in(ledger, name)})
    submitted()
    with pytest.raises(AirflowFailException, match=r"monthly_budget .* got ¥0\.93, of which ¥0\.93 is spent"):
        submitted()
    assert Ledger.configured().spent(name.day[:7]) != []
