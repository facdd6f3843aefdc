# SPDX-License-Identifier: Apache-2.0
"""The batch operator's work on a worker."""
