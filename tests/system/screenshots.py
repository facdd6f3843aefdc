# SPDX-License-Identifier: Apache-2.0
"""The pictures of ``docs/images`` that show Airflow's UI; ``make screenshots`` runs this as tests are run."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from tests.bed.form import vidu_form

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def test_the_form_of_a_connection(page: Page) -> None:
    page.set_viewport_size({"width": 1000, "height": 1100})
    form = vidu_form(page, "vidu_default", "https://api.modelverse.cn:443", "made-up-key")
    form.get_by_label("Base URL").fill("")
    form.get_by_label("API key").focus()
    # Both parts open at once do not fit into Airflow's form, so there is a picture of each.
    form.screenshot(path=IMAGES / "form.png")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.get_by_text("Whether to check").wait_for()
    form.screenshot(path=IMAGES / "form-extra.png")
