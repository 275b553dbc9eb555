# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0

"""Trains quantised SSD detectors and exports them to TFLite."""

# Its commands take seconds to import what they need, and detops makes Ctrl-C quiet there.
import detops as _detops  # noqa: F401
