# SPDX-License-Identifier: Apache-2.0
"""Keyword arguments become a validated JSON body."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol import capabilities
from airflow_provider_vidu.protocol.capabilities import DOCUMENTATION, FIELDS, MAX_BODY_BYTES, find
from airflow_provider_vidu.protocol.texts import is_url, looks_like_data_uri, shown, without_secrets

Body = dict[str, Any]


class Request(NamedTuple):
    """
    One video, as its author asks for it. Nothing in it is checked until it is asked to be.

    :param vidu_type: the job, e.g. ``img2video``.
    :param model: the model, e.g. ``viduq2-turbo``.
    :param values: the API's fields by name; ``None`` leaves one out.
    :param extra_input: what to add to ``input`` although the table does not know it.
    :param extra_parameters: what to add to ``parameters`` although the table does not know it.
    """

    vidu_type: Any
    model: Any
    values: Mapping[str, Any]
    extra_input: Any = None
    extra_parameters: Any = None

    def body(self) -> Body:
        """
        Build and check the body of a submit. A pair of job and model that the table does not hold is built unchecked.

        :return: ``{"model", "input": {…}, "parameters": {"vidu_type", …}}``.
        :raises ViduRequestError: with every problem found. Nothing was sent; a retry alone cannot help.
        """
        if found := self.problems():
            raise refusal(found)
        body = self.assembled()
        size = len(encode(body))
        if size > MAX_BODY_BYTES:
            raise refusal(
                [
                    f"the body has {size:,} bytes, allowed: {MAX_BODY_BYTES:,} (source: {DOCUMENTATION}). "
                    "Pass files as URLs instead"
                ]
            )
        return body

    def assembled(self) -> Body:
        """
        Build the body without any check.

        :return: as :meth:`body`.
        """
        body: Body = {"model": self.model, "input": {}, "parameters": {"vidu_type": self.vidu_type}}
        for name, value in _given(self.values).items():
            body[FIELDS[name].section][name] = _always_with_voice(value) if name == "subjects" else value
        body["input"].update(self.extra_input or {})
        body["parameters"].update(self.extra_parameters or {})
        return body

    def as_asked(self) -> Body:
        """
        Build the body as its author gave it, for logs and XCom: files by their names, data URIs in a few words.

        :return: as :meth:`body`.
        """
        return {key: without_data(value) for key, value in self.assembled().items()}

    def problems(self, unknown_yet: Collection[str] = ()) -> list[str]:
        """
        Find everything that is wrong with it.

        :param unknown_yet: Fields with a value that only a template or a file will provide later.
        :return: one sentence for each problem.
        """
        vidu_type, model = self.vidu_type, self.model
        values = {name: value for name, value in self.values.items() if value is not None}
        found = [
            f"{name}: {shown(value)} given, allowed: a text without blanks around it, such as {example}"
            for name, value, example in (("vidu_type", vidu_type, "img2video"), ("model", model, "viduq2-turbo"))
            if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable()
        ]
        found += [
            f"{name}: not a field of this version{_nearest(name)}. To send it all the same, put it into extra_input or "
            "extra_parameters"
            for name in values
            if name not in FIELDS
        ]
        found += _extra_problems("extra_input", "input", self.extra_input, values)
        found += _extra_problems("extra_parameters", "parameters", self.extra_parameters, values)
        if found:
            return found
        row = find(vidu_type, model)
        known = {name: value for name, value in _given(values).items() if name not in unknown_yet}
        if row is None:
            return [
                f"{name}: {shown(value)} given, allowed: what JSON can hold"
                for name, value in known.items()
                if not _is_json(value)
            ]
        strangers = [name for name in values if name not in row.fields]
        found = [
            f"{name}: not a field of {vidu_type} with {model}, allowed: {', '.join(row.fields)} (source: {row.source})."
            f" To send it all the same, put it into extra_{FIELDS[name].section}"
            for name in strangers
        ]
        checked = {name: value for name, value in known.items() if name not in strangers}
        return found + capabilities.check(Request(vidu_type, model, checked).assembled(), unknown_yet=unknown_yet)


def build(
    vidu_type: str,
    model: str,
    values: Mapping[str, Any],
    *,
    extra_input: Mapping[str, Any] | None = None,
    extra_parameters: Mapping[str, Any] | None = None,
) -> Body:
    """
    Build and check the body of a submit in one call, see :class:`Request` for the arguments.

    :return: as :meth:`Request.body`.
    :raises ViduRequestError: with every problem found. Nothing was sent; a retry alone cannot help.
    """
    return Request(vidu_type, model, values, extra_input, extra_parameters).body()


def refusal(found: Collection[str]) -> ViduRequestError:
    """Put problems into one error."""
    return ViduRequestError("Refused before anything was sent or paid: " + "; ".join(found) + ".")


def encode(body: Body) -> bytes:
    """Write a body as it goes over the wire: JSON, escaped to ASCII so that every text can be written."""
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def fingerprint(body: Body, vidu_conn_id: str) -> str:
    """
    Tell whether two requests are the same: a hash over all that is sent, files by their content.

    :param body: a body of a submit.
    :param vidu_conn_id: the connection's id; its key, host and extra may change without making another request.
    :return: a SHA-256 in hexadecimal digits.
    """
    # Read back from what is sent, where every key is a text and keys can be sorted.
    canonical = json.dumps([vidu_conn_id, json.loads(encode(body))], sort_keys=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def without_data(value: Any) -> Any:
    """
    Replace every data URI by a few words about it, and hide the secrets of URLs, for logs, XCom and manifests.

    :param value: a body or a part of one.
    :return: the same with data URIs replaced and without signatures in URLs.
    """
    if isinstance(value, Mapping):
        return {key: without_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_data(item) for item in value]
    if looks_like_data_uri(value):
        return shown(value)
    return without_secrets(value) if is_url(value) else value


def _nearest(name: str) -> str:
    # Only here: it is a mistake that calls for it.
    from difflib import get_close_matches

    return "".join(f" (is {near} meant?)" for near in get_close_matches(name, FIELDS, n=1))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: FIELDS[name].coerce(value) for name, value in values.items() if value is not None}


def _always_with_voice(subjects: Any) -> Any:
    """Documented for subjects: ``voice_id`` is always sent, empty for automatic."""
    if not isinstance(subjects, (list, tuple)):
        return subjects
    return [{"voice_id": "", **subject} if isinstance(subject, dict) else subject for subject in subjects]


def _extra_problems(argument: str, section: str, extra: Any, values: Mapping[str, Any]) -> list[str]:
    if extra is None:
        return []
    if not isinstance(extra, Mapping) or not all(isinstance(key, str) for key in extra) or not _is_json(dict(extra)):
        return [f"{argument}: {shown(extra)} given, allowed: a mapping of names to what JSON can hold"]
    taken = {"vidu_type", *(name for name in values if name in FIELDS and FIELDS[name].section == section)}
    return [
        f"{argument}: {name} is given as an argument of its own, allowed: one of the two"
        for name in extra
        if name in taken
    ]


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
