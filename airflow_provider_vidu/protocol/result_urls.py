# SPDX-License-Identifier: Apache-2.0
"""
Links in the API's answers and in results.

The API documents a list of URLs. Whatever else comes is paid too, so it is named instead of dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.protocol.texts import brief, first_few, has_usable_host, is_url, plain_url
from airflow_provider_vidu.protocol.values import quote

LEFT_OUT = "Vidu task %s: left out what is not a link: %s"
"""Warning with Vidu's id of a task and what stands beside its usable links."""
_MAX_URLS = 100
_LONGEST_URL = 8192


def urls_in(value: object) -> tuple[str, ...]:
    """
    Read a list of URLs as a browser reads them.

    The list leaves out URLs of over 8,192 characters, and all URLs after the hundredth.
    """
    urls = (plain_url(url) for url in (value if isinstance(value, list) else ()) if isinstance(url, str))
    return tuple(islice((url for url in urls if 0 < len(url) <= _LONGEST_URL), _MAX_URLS))


def odd_urls_in(value: object) -> str:
    """
    Quote what stands in place of URLs, or beside them, and is none of :func:`urls_in`.

    The result is empty if there is nothing of the kind. It hides the secrets of URLs.
    """
    odd = [one for one in value if not urls_in([one])] if isinstance(value, list) else value
    try:
        return quote(repr(odd)) if odd else ""
    except RecursionError:
        return "a value with too many levels to show"


def no_urls(vidu_task_id: str, odd_urls: str) -> str:
    """
    Explain that a successful task has no links, with the next step if a person can read them.

    :param vidu_task_id: Vidu's id of the task.
    :param odd_urls: See ``TaskStatus``.
    """
    if not odd_urls:
        return "It succeeded, but the API returned no URLs."
    return (
        f"It succeeded, but urls in the API's answer must be a list of links, got {odd_urls}. Its video is paid. Read "
        f"the answer of GET /v1/tasks/status?task_id={vidu_task_id}, and store the video by hand."
    )


def usable(urls: Iterable[Any]) -> tuple[list[str], str]:
    """
    Separate the links that can be downloaded.

    :param urls: The links of a result.
    :return: The usable links, and a text of the others, which is empty without any.
    """
    plain = [plain_url(url) if isinstance(url, str) else url for url in urls]
    found = [url for url in plain if is_url(url) and has_usable_host(url)]
    return found, first_few([brief(url) for url in plain if url not in found])


def usable_in(result: Any) -> tuple[str, list[str], str]:
    """
    Read a result as ``TaskStatus.result`` returns it, from a task or from an XCom.

    :param result: The result.
    :return: Vidu's id of the task, its usable links, and a text of the others.
    :raises ViduRequestError: If it is no result. Nothing was stored.
    :raises ViduDownloadError: If none of its links is usable. Its video is paid.
    """
    task_id, urls = (result.get("task_id"), result.get("urls")) if isinstance(result, Mapping) else (None, None)
    if not isinstance(task_id, str) or not task_id or not isinstance(urls, list) or not urls:
        raise ViduRequestError(
            f"result must be the dictionary that ViduTaskSensor returned, got {brief(result)}. Nothing was stored. "
            "Pass the output of the sensor, such as wait.output."
        )
    found, unusable = usable(urls)
    if not found:
        raise ViduDownloadError(
            f"The links of Vidu task {task_id} must be http(s) URLs, got {unusable}. Its video is paid, and nothing "
            f'was stored. Poll it again at no cost with ViduToObjectStorageOperator(vidu_task_id="{task_id}", '
            "destination=…), or ask the API's support for the video."
        )
    return task_id, found, unusable
