# SPDX-License-Identifier: Apache-2.0
"""Transfers: store videos."""
