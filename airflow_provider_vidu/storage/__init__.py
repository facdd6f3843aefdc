# SPDX-License-Identifier: Apache-2.0
"""Where bytes come from and go to: destinations, places, videos, manifests and input files."""
