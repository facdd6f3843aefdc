# SPDX-License-Identifier: Apache-2.0
"""Hooks: authenticated calls of the API."""
