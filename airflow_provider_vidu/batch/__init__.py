# SPDX-License-Identifier: Apache-2.0
"""What the batch operator does on a worker."""
