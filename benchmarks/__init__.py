# SPDX-License-Identifier: Apache-2.0
"""What waiting costs, measured: ``make bench`` runs all of it and writes the results into ``docs/performance.md``."""
