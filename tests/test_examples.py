# SPDX-License-Identifier: Apache-2.0
"""The example DAGs as the installed package has them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import airflow_provider_vidu
from tests.versions import HAS_PROVIDERS_EXAMPLES, dag_bags

EXAMPLES = Path(airflow_provider_vidu.__file__).parent / "example_dags"


@pytest.fixture(scope="module")
def dags():
    bag = dag_bags().DagBag(str(EXAMPLES))
    assert bag.import_errors == {}
    return bag.dags


def test_the_package_contains_the_examples(dags):
    assert sorted(dags) == [
        "example_vidu_img2video",
        "example_vidu_make",
        "example_vidu_mapped",
        "example_vidu_nightly_batch",
        "example_vidu_publish",
        "example_vidu_rescue",
        "example_vidu_review",
        "example_vidu_storyboard",
    ]
    assert (EXAMPLES / "images" / "lighthouse.jpg").exists()


def test_a_copy_of_an_example_finds_the_images_of_the_package(tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "dags", ignore=shutil.ignore_patterns("images"))
    copies = dag_bags().DagBag(str(tmp_path / "dags")).dags
    assert copies["example_vidu_nightly_batch"].params["folder"] == str(EXAMPLES / "images")
    assert copies["example_vidu_img2video"].params["image"] == str(EXAMPLES / "images" / "lighthouse.jpg")


def test_no_example_runs_on_a_schedule_before_a_person_starts_it(dags):
    scheduled = {name: dag for name, dag in dags.items() if isinstance(dag.schedule, str)}
    assert sorted(scheduled) == ["example_vidu_nightly_batch", "example_vidu_rescue"]
    assert {name: dag.is_paused_upon_creation for name, dag in scheduled.items()} == dict.fromkeys(scheduled, True)


def test_airflow_finds_the_examples_if_it_loads_those_of_providers(monkeypatch):
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
    paths = [str(bundle.path) for bundle in DagBundlesManager().get_all_dag_bundles()]
    assert (str(EXAMPLES) in paths) == HAS_PROVIDERS_EXAMPLES
