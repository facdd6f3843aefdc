# SPDX-License-Identifier: Apache-2.0
"""Notes on bodies that are sent all the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_vidu.protocol.capabilities import CAPABILITIES, fields_of, row_of
from airflow_provider_vidu.protocol.texts import brief


def notes(body: Mapping[str, Any]) -> list[str]:
    """
    List the fields without effect and the unknown subjects, or the reason why a body is unchecked.

    :param body: a submit body, which the operator sends all the same.
    :return: one log message each.
    """
    row = row_of(body)
    if row is None:
        vidu_type, model = body.get("parameters", {}).get("vidu_type"), body.get("model")
        models = [found.model for found in CAPABILITIES.values() if found.vidu_type == vidu_type]
        known = models or dict.fromkeys(found.vidu_type for found in CAPABILITIES.values())
        return [
            f"Sending an unchecked request: this version does not know {brief(vidu_type)} with {brief(model)}. Known "
            f"{'models of this type' if models else 'types'}: {', '.join(known)}. If a name is mistyped, stop the task "
            "now: Vidu bills an accepted submit."
        ]
    values = fields_of(body)
    found = [
        f"{name} has no effect: {row.fields[name].no_effect}."
        for name in values
        if name in row.fields and row.fields[name].no_effect
    ]
    unheard = row.vidu_type == "img2video" and not row.fields["voice_id"].no_effect and not values.get("audio")
    if unheard and "voice_id" in values:
        found.append("voice_id has no effect without audio=True.")
    if row.vidu_type == "lip-sync" and "audio_url" in values:
        found += [
            f"{name} has no effect: audio_url takes precedence."
            for name in ("text", "speed", "voice_id", "volume")
            if name in values
        ]
    return found + _strangers(values)


def _strangers(values: Mapping[str, Any]) -> list[str]:
    """Find the subjects that a prompt names and the request does not have."""
    subjects, prompt = values.get("subjects"), values.get("prompt")
    if not isinstance(subjects, list) or not isinstance(prompt, str):
        return []
    ids = [str(one.get("id")) for one in subjects if isinstance(one, Mapping)]
    # A Chinese prompt has no blank after an id.
    left = re.sub("|".join(f"@{re.escape(id_)}" for id_ in sorted(ids, key=len, reverse=True)) or "$^", "", prompt)
    found = re.findall(r"(?<![\w.])@\w+", left)
    return [f"prompt names {name}, which is no id of subjects: {', '.join(ids)}." for name in dict.fromkeys(found)]
