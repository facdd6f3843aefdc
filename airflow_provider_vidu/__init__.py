# SPDX-License-Identifier: Apache-2.0
"""Apache Airflow provider for Vidu, the generative video model served by UCloud ModelVerse."""

__version__ = "0.2.0.dev0"
