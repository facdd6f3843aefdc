# SPDX-License-Identifier: Apache-2.0
"""The pictures of ``docs/images`` that show Airflow's UI; ``make screenshots`` runs this as tests are run."""

from __future__ import annotations

from pathlib import Path

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
