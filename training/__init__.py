# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0

"""Trains quantised SSD detectors and exports them to TFLite."""
