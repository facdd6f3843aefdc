# SPDX-License-Identifier: Apache-2.0
"""What makes the site of the documentation: the page of errors, the public names, and the Chinese catalogues."""

from __future__ import annotations

import re

import pytest

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.protocol.errors import ERRORS, Family
from dev.errors_page import PAGE, page

translations = pytest.importorskip("dev.translations", reason="an older Airflow comes without Babel")


def write(path, *messages):
    """Write a catalogue of originals and translations."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n\n".join(f'msgid "{text}"\nmsgstr "{chinese}"' for text, *rest in messages for chinese in rest))


@pytest.fixture
def catalogues(tmp_path):
    write(tmp_path / "pot" / "a.pot", ("A kite rises.", ""), ("It is red.", ""))
    write(tmp_path / "po" / "a.po", ("A kite rises.", "风筝升起。"), ("It is red.", "它是红色的。"))
    return tmp_path / "pot", tmp_path / "po"


def state(catalogues):
    return {one.name: (one.untranslated, one.fuzzy, one.is_complete) for one in translations.pages(*catalogues)}


def test_the_page_of_errors_is_the_codes():
    assert PAGE.read_text("utf-8") == page(), "run python -m dev.errors_page"


def test_the_page_of_errors_has_every_class_and_every_advice():
    raised = {name for name in vars(exceptions) if name.startswith("Vidu")} - {"ViduError", "ViduApiError"}
    assert set(re.findall(r"^\| `(\w+)` \|.*\| (?:yes|no) \|$", page(), re.MULTILINE)) == raised | set(Family)
    advices = {row.advice for row in ERRORS} | {family.advice for family in Family}
    assert [advice for advice in advices if advice not in page()] == []


def test_a_translated_page_is_complete(catalogues):
    assert state(catalogues) == {"a": ((), (), True)}


def test_a_number_with_or_without_a_unit_needs_no_translation(catalogues):
    write(catalogues[0] / "a.pot", ("It is red.", ""), ("1.25", ""), ("0.34 s (0.12)", ""), ("4, 1.5 MiB", ""))
    assert state(catalogues) == {"a": ((), (), True)}
    translations.update(*catalogues)
    assert "1.25" not in (catalogues[1] / "a.po").read_text("utf-8")


def test_a_new_page_is_missing_and_gets_a_catalogue(catalogues):
    write(catalogues[0] / "b.pot", ("Nobody has translated this.", ""))
    assert state(catalogues)["b"] == (("Nobody has translated this.",), (), False)
    translations.update(*catalogues)
    assert (catalogues[1] / "b.po").exists()
    assert state(catalogues)["b"] == (("Nobody has translated this.",), (), False)


def test_a_new_text_of_a_translated_page_is_missing(catalogues):
    write(catalogues[0] / "a.pot", ("A kite rises.", ""), ("It is red.", ""), ("Nothing was paid.", ""))
    assert state(catalogues)["a"] == (("Nothing was paid.",), (), False)
    translations.update(*catalogues)
    assert state(catalogues)["a"] == (("Nothing was paid.",), (), False)


def test_a_translation_of_a_changed_text_is_marked_and_names_the_old_text(catalogues):
    write(catalogues[0] / "a.pot", ("A kite rises.", ""), ("It is redder.", ""))
    assert state(catalogues)["a"] == (("It is redder.",), (), False)
    translations.update(*catalogues)
    assert state(catalogues)["a"] == ((), ("It is redder.",), False)
    kept = (catalogues[1] / "a.po").read_text("utf-8")
    assert '#| msgid "It is red."\nmsgid "It is redder."\nmsgstr "它是红色的。"' in kept


def test_an_update_without_a_change_changes_no_file(catalogues):
    translations.update(*catalogues)
    before = (catalogues[1] / "a.po").read_text("utf-8")
    translations.update(*catalogues)
    assert (catalogues[1] / "a.po").read_text("utf-8") == before


def test_the_reference_documents_every_class_of_the_list_with_its_public_methods():
    public_names = pytest.importorskip("dev.public_names", reason="an environment without Sphinx")
    found = {name.path.rpartition(".")[2]: name for name in public_names.public_names(public_names.LIST.read_text())}
    assert found["ViduHook"].members == ("submit", "get_task", "download", "test_connection")
    assert found["vidu_batch_task"].directive == (
        ".. autofunction:: airflow_provider_vidu.decorators.batch.vidu_batch_task\n"
    )
    assert found["ViduTaskSensor"].directive == ".. autoclass:: airflow_provider_vidu.sensors.vidu.ViduTaskSensor\n"
    assert found["exceptions"].directive.startswith(".. automodule:: airflow_provider_vidu.exceptions\n   :members:")
    assert len(found) == 16
