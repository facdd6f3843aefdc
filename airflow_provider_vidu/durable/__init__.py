# SPDX-License-Identifier: Apache-2.0
"""
The record of submits across tries, so that each video is paid once.

No other package writes it.
"""
