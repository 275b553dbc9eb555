# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The machine-readable answer of a command: one JSON document on stdout."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from detops import __version__


def print_document(command: str, content: Mapping[str, Any]) -> None:
    """Prints a document. JSON has no NaN and infinities: they become "nan", "inf" and "-inf"."""
    document = {"command": command, "detops": __version__, **content}
    print(json.dumps(_plain(document), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
