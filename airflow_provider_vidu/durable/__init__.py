# SPDX-License-Identifier: Apache-2.0
"""Pay once: what a submit leaves to later tries, and the only code that writes it."""
