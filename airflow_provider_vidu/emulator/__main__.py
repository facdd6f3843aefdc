# SPDX-License-Identifier: Apache-2.0
"""The command line of the emulator: ``vidu-emulator`` or ``python -m airflow_provider_vidu.emulator``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from airflow_provider_vidu.emulator import KEY, name_the_extra


def main() -> None:
    """Read the command line and serve until SIGTERM or SIGINT."""
    arguments = _parser().parse_args()
    try:
        from airflow_provider_vidu.emulator.server import Settings, serve
    except ModuleNotFoundError as error:
        sys.exit(name_the_extra(error))
    settings = Settings(**vars(arguments))

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(settings, lambda url: print(f"Vidu emulator on {url}", flush=True), stop)

    try:
        asyncio.run(run())
    except OSError as error:
        sys.exit(f"The emulator cannot run: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vidu-emulator",
        description="An emulator of the Vidu task API.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8765, help="port to listen on, 0 for any free port")
    parser.add_argument("--speed", type=_positive, default=1.0, help="how many times faster than the real service")
    parser.add_argument("--key", default=KEY, help="the API key that the emulator accepts")
    parser.add_argument(
        "--auth-scheme",
        choices=("either", "key", "bearer"),
        default="either",
        help="the Authorization header: the key alone, 'Bearer' and the key, or either",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        # Without SUPPRESS the help would end in "(default: None)".
        default=argparse.SUPPRESS,
        help="directory of the mp4 files (default: a temporary one, removed on exit)",
    )
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return number


if __name__ == "__main__":
    main()
