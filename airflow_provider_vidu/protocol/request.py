# SPDX-License-Identifier: Apache-2.0
"""Requests for one video: checks, JSON body and fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol import capabilities
from airflow_provider_vidu.protocol.capabilities import DOCUMENTATION, FIELDS, MAX_BODY_BYTES, find
from airflow_provider_vidu.protocol.fields import Kind
from airflow_provider_vidu.protocol.texts import (
    brief,
    is_data_uri,
    is_url,
    looks_like_data_uri,
    utf8_problem,
    without_secrets,
)

Body = dict[str, Any]


class Request(NamedTuple):
    """
    A request for one video, as its author wrote it.

    The constructor checks nothing; :meth:`problems` and :meth:`body` do.

    :param vidu_type: type of the job, e.g. ``img2video``.
    :param model: name of the model, e.g. ``viduq2-turbo``.
    :param values: the API's fields by name; ``None`` omits a field.
    :param extra_input: fields that the capability table does not know, added to ``input``; ``None`` adds none.
    :param extra_parameters: fields that the table does not know, added to ``parameters``; ``None`` adds none.
    """

    vidu_type: Any
    model: Any
    values: Mapping[str, Any]
    extra_input: Any = None
    extra_parameters: Any = None

    def body(self) -> Body:
        """
        Build and check the body of a submit.

        If the table does not know the pair of ``vidu_type`` and ``model``, this method checks only the field names. It
        also checks that JSON can represent the values.

        :return: ``{"model", "input": {…}, "parameters": {"vidu_type", …}}``.
        :raises ViduRequestError: if there are problems; it names all of them. Nothing was sent; a retry alone cannot
            help.
        """
        if found := self.problems():
            raise refusal(found)
        body = self.assembled()
        size = len(encode(body))
        if size > MAX_BODY_BYTES:
            problem = f"body must have at most {MAX_BODY_BYTES:,} bytes, got {size:,} (source: {DOCUMENTATION})"
            raise refusal([problem], "Pass files as URLs")
        return body

    def assembled(self) -> Body:
        """
        Build the body without any check.

        :return: a body of the same form as :meth:`body` returns.
        """
        body: Body = {"model": self.model, "input": {}, "parameters": {"vidu_type": self.vidu_type}}
        for name, value in _given(self.values).items():
            body[FIELDS[name].section][name] = _always_with_voice(value) if name == "subjects" else value
        body["input"].update(self.extra_input or {})
        body["parameters"].update(self.extra_parameters or {})
        return body

    def as_asked(self) -> Body:
        """
        Build the body for logs and XCom, without the content of files.

        Files appear by their names, and data URIs as a short description.

        :return: a body of the same form as :meth:`body` returns.
        """
        return {key: without_data(value) for key, value in self.assembled().items()}

    def problems(self, unknown_yet: Collection[str] = ()) -> list[str]:
        """
        List the problems of the request.

        :param unknown_yet: fields whose value a template or a file supplies later.
        :return: one sentence for each problem, without a full stop.
        """
        if found := self.text_problems():
            return found
        vidu_type, model = self.vidu_type, self.model
        values = {name: value for name, value in self.values.items() if value is not None}
        found = [
            f"{name} must be a non-empty, printable string without spaces around it, such as {example}, got "
            f"{brief(value)}"
            for name, value, example in (("vidu_type", vidu_type, "img2video"), ("model", model, "viduq2-turbo"))
            if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable()
        ]
        found += [
            f"{name} must be a field that this version knows{_nearest(name)}; to send it anyway, put it into "
            "extra_input or extra_parameters"
            for name in values
            if name not in FIELDS
        ]
        found += _extra_problems("extra_input", "input", self.extra_input, values)
        found += _extra_problems("extra_parameters", "parameters", self.extra_parameters, values)
        if found:
            return found
        row = find(vidu_type, model)
        known = {name: value for name, value in _given(values).items() if name not in unknown_yet}
        if row is None and (other := capabilities.meant(vidu_type, model)):
            return [
                f"vidu_type and model must have the API's capital and small letters, {other.vidu_type} with "
                f"{other.model}, got {vidu_type} with {model} (source: {other.source})"
            ]
        if row is None:
            return [
                f"{name} must be a value that JSON can represent, got {brief(value)}"
                for name, value in known.items()
                if not _is_json(value)
            ]
        strangers = [name for name in values if name not in row.fields]
        found = [
            f"{name} is not a field of {vidu_type} with {model}, which takes: {', '.join(row.fields)} (source: "
            f"{row.source}); to send it anyway, put it into extra_{FIELDS[name].section}"
            for name in strangers
        ]
        checked = {name: value for name, value in known.items() if name not in strangers}
        return found + capabilities.check(Request(vidu_type, model, checked).assembled(), unknown_yet=unknown_yet)

    def text_problems(self) -> list[str]:
        """List the fields with a text that UTF-8 cannot encode, names of files included."""
        given = {**self.values, "extra_input": self.extra_input, "extra_parameters": self.extra_parameters}
        problems = (utf8_problem(name, {name: value} if name not in FIELDS else value) for name, value in given.items())
        return [problem for problem in problems if problem]


class Prepared(NamedTuple):
    """
    A request that is ready to be submitted.

    The two bodies differ in presigned URLs. Each signature of one file differs, so a fingerprint of the first would
    never be found again, and the request would be paid twice.

    :param body: the body to send.
    :param identity: the same body with a text that identifies the file in place of each presigned URL.
    """

    body: Body
    identity: Body

    def fingerprint(self, vidu_conn_id: str) -> str:
        """
        Compute a hash that is equal for equal requests.

        :param vidu_conn_id: see :func:`fingerprint`.
        """
        return fingerprint(self.identity, vidu_conn_id)


def build(
    vidu_type: str,
    model: str,
    values: Mapping[str, Any],
    *,
    extra_input: Mapping[str, Any] | None = None,
    extra_parameters: Mapping[str, Any] | None = None,
) -> Body:
    """
    Build and check the body of a submit in one call.

    If the table does not know the pair of ``vidu_type`` and ``model``, this function checks only the field names, and
    that JSON can represent the values.

    :param vidu_type: type of the job, e.g. ``img2video``.
    :param model: name of the model, e.g. ``viduq2-turbo``.
    :param values: the API's fields by name; ``None`` omits a field.
    :param extra_input: fields that the table does not know, added to ``input``; ``None`` (default) adds none.
    :param extra_parameters: fields that the table does not know, added to ``parameters``; ``None`` (default) adds none.
    :return: ``{"model", "input": {…}, "parameters": {"vidu_type", …}}``.
    :raises ViduRequestError: if there are problems; it names all of them. Nothing was sent; a retry alone cannot help.
    """
    return Request(vidu_type, model, values, extra_input, extra_parameters).body()


def refusal(found: Collection[str], step: str = "Correct the arguments") -> ViduRequestError:
    """
    Make one error of all problems of a request.

    :param found: one sentence for each problem, without a full stop.
    :param step: the next step as an imperative, without a full stop.
    """
    return ViduRequestError(f"{'; '.join(found)}. Nothing was sent or paid. {step}.")


def encode(body: Body) -> bytes:
    """
    Encode a body as the JSON that a submit sends.

    Non-ASCII characters are escaped, so that every text can be encoded.
    """
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def fingerprint(body: Body, vidu_conn_id: str) -> str:
    """
    Compute a hash that is equal for equal requests.

    It covers everything that the submit sends, including the content of files.

    :param body: body of a submit.
    :param vidu_conn_id: id of the connection. Its key, host and extra are not part of the hash.
    :return: SHA-256 in hexadecimal digits.
    """
    # After a round trip through JSON all keys are texts, so they can be sorted.
    canonical = json.dumps([vidu_conn_id, json.loads(encode(body))], sort_keys=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def without_data(value: Any) -> Any:
    """
    Describe data URIs and hide secrets of URLs, for logs, XCom and manifests.

    :param value: a body or a part of one.
    :return: a copy with a short description in place of each data URI, and without signatures in URLs.
    """
    if isinstance(value, Mapping):
        return {key: without_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_data(item) for item in value]
    if looks_like_data_uri(value):
        return brief(value)
    return without_secrets(value) if is_url(value) else value


def _nearest(name: str) -> str:
    # Imported here because only an error needs it.
    from difflib import get_close_matches

    return "".join(f" (did you mean {near}?)" for near in get_close_matches(name, FIELDS, n=1))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: FIELDS[name].coerce(value) for name, value in values.items() if value is not None}


def _always_with_voice(subjects: Any) -> Any:
    """Add the ``voice_id`` that the documentation requires for each subject; empty means automatic."""
    if not isinstance(subjects, (list, tuple)):
        return subjects
    return [{"voice_id": "", **subject} if isinstance(subject, dict) else subject for subject in subjects]


def _extra_problems(argument: str, section: str, extra: Any, values: Mapping[str, Any]) -> list[str]:
    if extra is None:
        return []
    if not isinstance(extra, Mapping) or not all(isinstance(key, str) for key in extra) or not _is_json(dict(extra)):
        return [f"{argument} must be a mapping of names to values that JSON can represent, got {brief(extra)}"]
    other = "extra_input" if section == "parameters" else "extra_parameters"
    found = [
        f"{argument} must not contain {name}, which belongs to {other}"
        for name in extra
        if name in FIELDS and FIELDS[name].section != section
    ]
    found += [
        f"{argument} must pass {name} as {FIELDS[name].kind.value}, got {brief(value)}"
        for name, value in extra.items()
        if name in FIELDS and FIELDS[name].section == section and _holds_path(FIELDS[name].kind, value)
    ]
    taken = {"vidu_type", *(name for name in values if name in FIELDS and FIELDS[name].section == section)}
    return found + [
        f"{argument} must not contain {name}, which is already given as an argument" for name in extra if name in taken
    ]


def _holds_path(kind: Kind, value: Any) -> bool:
    """Check whether a value is a path, which nothing would read there."""
    texts = value if isinstance(value, (list, tuple)) else [value]
    takes_urls = kind in (Kind.URL, Kind.MEDIA, Kind.IMAGES)
    return takes_urls and any(isinstance(text, str) and not is_url(text) and not is_data_uri(text) for text in texts)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
