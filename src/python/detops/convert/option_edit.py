# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Changes the options of the op in a file."""

from __future__ import annotations

import dataclasses
import difflib
import numbers
from typing import Any

import numpy as np

from detops.convert.equivalence import check_node_results
from detops.convert.model_edit import ModelEdit, Source, indices, read_source
from detops.convert.option_values import read_option_values, write_option_values
from detops.convert.postprocess_node import (
    block_of,
    check_nodes,
    declare_output_shapes,
    only_node,
)
from detops.options import Options

_KINDS: dict[str, tuple[type[Any], str]] = {
    "int": (numbers.Integral, "a whole number"),
    "bool": (bool, "True or False"),
    "float": (numbers.Real, "a number"),
}


def set_options(model: Source, *, verify: bool = True, **changes: Any) -> bytes:
    """Changes options of a model's one `TFLite_Detection_PostProcess` node.

    Keys that the op does not read stay. Output shapes that the file declares follow
    `max_detections` and `max_classes_per_detection`.

    Args:
      model: a path or the bytes.
      verify: run the result, where a runtime is installed, and compare its bits with those of
        `detops.postprocess` with the new options.
      **changes: fields of `detops.Options`.

    Returns:
      The model with the new options; all else as it was.

    Raises:
      TypeError: an unknown option, or a value of the wrong type.
      ValueError: a value that the op refuses, or a model without exactly one node.
      OSError: the path cannot be read.
      ImportError: flatbuffers or the TFLite schema is not installed.
    """
    values = {name: _checked(name, value) for name, value in changes.items()}
    before = read_source(model)
    edit = ModelEdit(before)
    graph, node = only_node(edit)
    block = block_of(node)
    options = Options.from_bytes(block).replace(**values)
    stored = {**read_option_values(block), **values}
    node.customOptions = np.frombuffer(write_option_values(stored), np.uint8)
    if any(len(indices(graph.tensors[index].shape)) for index in indices(node.outputs)):
        declare_output_shapes(graph, node, options)
    result = edit.save()
    check_nodes(result)
    if verify:
        check_node_results(before, result)
    return result


def option_kinds() -> dict[str, str]:
    """The options by name, each "int", "bool" or "float"."""
    return {field.name: str(field.type) for field in dataclasses.fields(Options)}


def _checked(name: str, value: Any) -> int | bool | float:
    kinds = option_kinds()
    if name not in kinds:
        close = difflib.get_close_matches(name, kinds, 1, 0.0)[0]
        raise TypeError(f"no option is called {name!r}, did you mean {close!r}?")
    kind, wanted = _KINDS[kinds[name]]
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{name} is {value!r}, expected {wanted}")
    return float(value) if kinds[name] == "float" else value
