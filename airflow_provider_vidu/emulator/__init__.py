# SPDX-License-Identifier: Apache-2.0
"""
An emulator of the Vidu task API, to test and try DAGs without an account.

Run it with ``vidu-emulator``, or in tests with the pytest fixture ``vidu_emulator``. It needs the pip extra
``emulator``.
"""

KEY = "emulator-key"
"""The API key that an emulator accepts by default."""


def name_the_extra(error: ModuleNotFoundError) -> str:
    """
    Say how to install a missing package of the extra.

    :param error: The failed import; that of any other package is raised again.
    """
    if error.name not in ("aiohttp", "av", "PIL"):
        raise error
    return f"The emulator needs {error.name}: pip install 'airflow-provider-vidu[emulator]'"
