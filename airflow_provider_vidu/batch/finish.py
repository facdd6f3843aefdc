# SPDX-License-Identifier: Apache-2.0
"""The end of a batch: storing, the manifest and the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.batch.messages import failure, naming_tasks, without_video
from airflow_provider_vidu.batch.results import LastAnswer, collect, poll_all
from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import FAILED as ENDED_FAILED
from airflow_provider_vidu.durable.entries import Ending
from airflow_provider_vidu.durable.spending import entry_of, note_accepted, note_end
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
    asked_for = {
        record.task_id: 0.0 for record in records if record.outcome == batch.SUBMITTED and record.task_id not in answers
    }
    answers = dict(answers) | visit.loop.run(lambda hook: poll_all(hook, asked_for))
    for record in records if options.sidecar else ():
        mark = visit.memory.marks.get(record.custom_id)
        visit.origins[record.task_id] = Origin(
            record.request,
            mark.sent if mark else "",
            options.vidu_conn_id,
            record.estimated_cost,
            record.reused_from,
        )
    found = collect(records, answers, visit.store, log.info)
    with naming_tasks(found, log):
        uri = manifests.write(visit.path, found)
    manifests.remove(visit.waiting)
    for before, after in zip(records, found, strict=True):
        if after.outcome == batch.REUSED:
            count_reuse()
        elif before.outcome == batch.SUBMITTED and after.outcome == SUCCESS:
            count_success(after.video_seconds)
        elif before.outcome == batch.SUBMITTED and after.outcome == FAILED:
            note_end(after.task_id, Ending(ENDED_FAILED, reason=after.reason), log)
            count_failure()
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
        note_accepted(mark.place, entry._replace(vidu_task_id=record.task_id), log)


def _push(context: Context, totals: dict[str, Any], log: Logger) -> None:
    """Push a failed batch's totals, for the UI and tasks that run in any case."""
    try:
        context["ti"].xcom_push(key="return_value", value=totals)
    except Exception:
        log.exception("Could not push the totals: %s", totals)
