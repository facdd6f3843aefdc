# SPDX-License-Identifier: Apache-2.0
"""The end of a batch: storing, the manifest and the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.batch.messages import failure, naming_tasks, without_video
from airflow_provider_vidu.batch.results import LastAnswer, collect, poll_all
from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.spending import entry_of, note_accepted, note_failure
from airflow_provider_vidu.protocol import batch
from airflow_provider_vidu.protocol.polling import FAILED, SUCCESS
from airflow_provider_vidu.reporting import announce, count_failure, count_reuse, count_success
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.storage.sidecar import Origin

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.batch.options import BatchOptions
    from airflow_provider_vidu.batch.visit import Visit


def settle(
    visit: Visit,
    options: BatchOptions,
    log: Logger,
    records: Iterable[Record],
    answers: Mapping[str, LastAnswer],
    *,
    is_end: bool,
) -> tuple[list[Record], list[Record]]:
    """
    Poll the submitted tasks, and store the videos that are ready.

    :param visit: the resources of this run on a worker.
    :param options: the arguments of the operator.
    :param log: the operator's logger.
    :param records: the records of the items.
    :param answers: answers of this visit about their tasks, by Vidu's id; the other tasks are polled.
    :param is_end: whether the batch waits no longer. Otherwise running tasks stay as they are.
    :return: the records with what was submitted, and the same with their outcomes.
    """
    # A video that an earlier visit could not store is still available from its task.
    before = [
        record._replace(outcome=batch.SUBMITTED, reason="") if record.outcome == batch.NOT_STORED else record
        for record in records
    ]
    asked_for = {
        record.task_id: 0.0 if is_end else visit.memory.begun_at(record.custom_id, record.task_id)
        for record in before
        if record.outcome == batch.SUBMITTED and record.task_id not in answers
    }
    answers = dict(answers) | visit.loop.run(lambda hook: poll_all(hook, asked_for))
    if not is_end:
        answers = {vidu_task_id: answer for vidu_task_id, answer in answers.items() if answer.believed}
    for record in before if options.sidecar else ():
        mark = visit.memory.marks.get(record.custom_id)
        visit.origins[record.task_id] = Origin(
            record.request,
            mark.sent if mark else "",
            options.vidu_conn_id,
            record.estimated_cost,
            record.reused_from,
        )
    return before, collect(before, answers, visit.store, log.info)


def count(before: Sequence[Record], after: Sequence[Record], log: Logger) -> None:
    """
    Count the submitted tasks that have ended, and record the failed ones in the ledger.

    :param before: the records with what was submitted.
    :param after: the same with their outcomes.
    :param log: the operator's logger.
    """
    for submitted, ended in zip(before, after, strict=True):
        if submitted.outcome == batch.SUBMITTED and ended.outcome == SUCCESS:
            count_success(ended.video_seconds)
        elif submitted.outcome == batch.SUBMITTED and ended.outcome == FAILED:
            note_failure(ended.task_id, ended.reason, log)
            count_failure()


def finish(
    visit: Visit,
    options: BatchOptions,
    context: Context,
    log: Logger,
    records: list[Record],
    answers: Mapping[str, LastAnswer],
    budget_resets_at: float | None,
) -> dict[str, Any]:
    """
    Store the videos that are ready, write the manifest, and report the result.

    :param visit: the resources of this run on a worker.
    :param options: the arguments of the operator.
    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    :param records: the records of the items.
    :param answers: answers of this visit about their tasks, by Vidu's id; the other tasks are polled.
    :param budget_resets_at: epoch seconds at which the budget that stopped the submits resets, ``None`` if none did.
    :return: the manifest's URI and totals.
    :raises AirflowException: if the batch failed; ``AirflowFailException`` if no retry can help.
    :raises ViduDownloadError: if the manifest could not be written; the error names the submitted tasks.
    """
    before, found = settle(visit, options, log, records, answers, is_end=True)
    with naming_tasks(found, log):
        uri = manifests.write(visit.path, found)
    manifests.remove(visit.waiting)
    count(before, found, log)
    for record in found:
        if record.outcome == batch.REUSED:
            count_reuse()
    each(lambda record: _show_to_look_ups(record, visit, context, log), found)
    totals = manifests.totals(uri, found)
    counts, seconds, cost = totals["counts"], totals["video_seconds"], totals["estimated_cost"]
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no items"
    price = "cost unknown" if cost is None else f"about ¥{cost:g}"
    log.info("%s, %s. The manifest is %s", summary, price, uri)
    if batch.is_failure(counts, options.fail_on):
        if options.do_xcom_push:
            _push(context, totals, log)
        raise failure(
            found,
            summary,
            uri,
            resubmit=options.on_uncertain == "resubmit",
            awaits_budget=options.on_budget == "retry",
            budget_resets_at=budget_resets_at,
        )
    if missed := sum(record.outcome not in batch.WITH_VIDEO for record in found):
        log.warning("%d of %d items have no video: %s", missed, len(found), without_video(found))
    announce(context, seconds=seconds, cost=cost, manifest=uri, counts=counts)
    visit.memory.deliver([record.custom_id for record in found if record.outcome not in batch.WITH_VIDEO])
    return totals


def _show_to_look_ups(record: Record, visit: Visit, context: Context, log: Logger) -> None:
    mark = visit.memory.marks.get(record.custom_id)
    if record.outcome == SUCCESS and mark and mark.place:
        entry = entry_of(context["ti"], visit.store.vidu_conn_id, record.request, record.custom_id)
        note_accepted(mark.place, entry._replace(vidu_task_id=record.task_id, fingerprint=mark.request), log)


def _push(context: Context, totals: dict[str, Any], log: Logger) -> None:
    """Push a failed batch's totals, for the UI and tasks that run in any case."""
    try:
        context["ti"].xcom_push(key="return_value", value=totals)
    except Exception:
        log.exception("Could not push the totals: %s", totals)
