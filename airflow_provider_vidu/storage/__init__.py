# SPDX-License-Identifier: Apache-2.0
"""File access: destinations, places, videos, manifests and input files."""
