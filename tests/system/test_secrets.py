# SPDX-License-Identifier: Apache-2.0
"""The API key is looked for wherever Airflow and the emulator have written anything."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from airflow_provider_vidu.emulator import KEY
from tests.system.support.trouble import CarefulRun

pytestmark = pytest.mark.system


def places_of(word, bed):
    """Every folder of logs and every table of the metadata database in which a word stands."""
    found = set()
    for folder in (bed.home / "logs", bed.home / "task-logs"):
        files = [file for file in folder.rglob("*") if file.is_file()]
        assert files
        if any(word.encode() in file.read_bytes() for file in files):
            found.add(folder.name)
    engine = create_engine(bed.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.connect() as database:
        tables = database.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        for table in tables:
            # A whole row as text, with bytes in hexadecimal.
            rows = database.execute(text(f'SELECT t::text FROM "{table}" t')).scalars()
            if any(word in row or word.encode().hex() in row for row in rows):
                found.add(table)
    engine.dispose()
    return found


ENDS = {
    "all goes well": (None, "success"),
    "fail-by-moderation": (None, "failed"),
    "forbidden-by-moderation": (None, "failed"),
    "an unknown outcome": ({"on": "submit", "fault": "accept_then_drop"}, "failed"),
    "a gateway": ({"on": "submit", "fault": "html"}, "failed"),
    "a bad key at the submit": ({"on": "submit", "fault": "error", "status": 401, "times": None}, "failed"),
    "a bad key during the wait": ({"on": "status", "fault": "error", "status": 401, "times": None}, "failed"),
    "a broken download": ({"on": "download", "fault": "truncate", "times": None}, "failed"),
}


def test_the_key_stands_in_no_log_and_no_table_and_goes_along_with_no_download(bed, emulator, tmp_path):
    # Pasted with its scheme, the key is not what Airflow itself masks.
    pasted = {"connection_id": "pasted", "conn_type": "vidu", "host": emulator.url, "password": f"Bearer {KEY}"}
    bed.request("POST", "/api/v2/connections", pasted)
    try:
        for number, (prompt, (order, state)) in enumerate(ENDS.items()):
            emulator.release()
            if order:
                emulator.arm(order)
            desk = tmp_path / str(number)
            desk.mkdir()
            run = CarefulRun(bed, emulator, desk, prompt=prompt, conn="pasted" if number % 2 else "vidu_default")
            assert run.ends() == state, prompt
    finally:
        emulator.release()
        bed.request("DELETE", "/api/v2/connections/pasted")
    record = next(task for task in emulator.tasks if task["body"]["input"]["prompt"] == "all goes well")
    seen = places_of(record["task_id"], bed)
    assert {"task-logs", "xcom", "task_state_store"} <= seen
    assert {"rendered_task_instance_fields", "xcom", "task_state_store"} <= places_of("all goes well", bed)
    assert places_of(KEY, bed) == set()
    assert {task["authorization_on_download"] for task in emulator.tasks if task["downloads"]} == {False}
