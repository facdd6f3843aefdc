# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the cost of waiting: ``make bench`` runs all and writes ``docs/performance.md``."""
