# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Speed of detops against the stock op, the floor and its peers. Run: python -m benchmarks"""
