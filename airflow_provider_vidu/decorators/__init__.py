# SPDX-License-Identifier: Apache-2.0
"""Decorators that make tasks of functions."""
