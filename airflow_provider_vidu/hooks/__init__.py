# SPDX-License-Identifier: Apache-2.0
"""Hooks that make authenticated calls to the API."""
