# SPDX-License-Identifier: Apache-2.0
"""Airflow's form for a connection, filled in as a person does it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page


def vidu_form(page: Page, conn_id: str, base_url: str, key: str) -> Locator:
    """Open the form for a new connection of type Vidu and fill in its standard fields.

    :param page: Airflow's UI.
    :param conn_id: Id of the connection.
    :param base_url: Where it leads to, with a port, which goes into its own field.
    :param key: API key.
    :return: The form, not saved yet.
    """
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill(conn_id)
    form.get_by_role("combobox", name="Connection Type").fill("Vidu")
    page.keyboard.press("Enter")
    host, _, port = base_url.rpartition(":")
    form.get_by_label("Base URL").fill(host)
    form.get_by_label("Port").fill(port)
    form.get_by_label("API key").fill(key)
    return form
