# SPDX-License-Identifier: Apache-2.0
"""What the API says: pure functions and frozen data on the standard library alone, no clock and no I/O."""
