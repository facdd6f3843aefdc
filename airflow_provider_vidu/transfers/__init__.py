# SPDX-License-Identifier: Apache-2.0
"""Transfers that store videos."""
