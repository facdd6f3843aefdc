# SPDX-License-Identifier: Apache-2.0
"""
An emulator of the Vidu task API, to test and try DAGs without an account.

Run it with ``python -m airflow_provider_vidu.emulator`` or, inside a test, with
:func:`airflow_provider_vidu.emulator.server.running`. It needs the pip extra ``emulator``.
"""
