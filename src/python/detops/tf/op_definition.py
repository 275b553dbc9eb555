# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""How TensorFlow and the converter are told about the op: its definition and its attributes."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from detops.options import OP_NAME, Options

OUTPUT_NAMES = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
INPUT_NAMES = ("box_encodings", "scores", "anchors")

# What an option block without detections_per_class means.
ABSENT_DETECTIONS_PER_CLASS = 100
_CARRIED_BITS = 32

_INTEGERS = ("num_classes", "max_detections", "max_classes_per_detection", "detections_per_class")
_BOOLEANS = ("use_regular_nms",)


def option_values(options: Options) -> dict[str, int | bool | float]:
    """The options as plain Python values, under their names in the file."""
    values: dict[str, int | bool | float] = {}
    for field in dataclasses.fields(options):
        values[field.name] = _plain(field.name, getattr(options, field.name))
    return values


def _plain(name: str, value: Any) -> int | bool | float:
    if name in _INTEGERS:
        return int(value)
    return bool(value) if name in _BOOLEANS else float(value)


def composite_signature(options: Options) -> str:
    """The text for `experimental_implements`: a name and attributes, as a text-format NameAttrList.

    The converter writes the options it knows and drops detections_per_class. So that travels in the
    upper half of max_detections, which the converter copies as 64 bits and the stock op reads as
    32; `uncarry` takes it out again. The half is zero for what absence means.
    """
    values = option_values(options)
    carried = int(values["detections_per_class"]) ^ ABSENT_DETECTIONS_PER_CLASS
    values["max_detections"] = carried << _CARRIED_BITS | int(values["max_detections"])
    attributes = (f'attr {{ key: "{k}" value {{ {_text(v)} }} }}' for k, v in values.items())
    return " ".join([f'name: "{OP_NAME}"', *attributes])


def _text(value: int | bool | float) -> str:
    if isinstance(value, bool):
        return f"b: {'true' if value else 'false'}"
    return f"i: {value}" if isinstance(value, int) else f"f: {value!r}"


def uncarry(written: dict[str, Any]) -> dict[str, Any]:
    """The option map of a converted node with every option under its own name."""
    values = dict(written)
    limit = int(values.get("max_detections", 0))
    values["max_detections"] = limit & (2**_CARRIED_BITS - 1)
    # A node that was not a composite function holds the option itself.
    values.setdefault("detections_per_class", limit >> _CARRIED_BITS ^ ABSENT_DETECTIONS_PER_CLASS)
    values["use_regular_nms"] = bool(values.get("use_regular_nms", False))
    return values


def define_op() -> bool:
    """Puts the op's definition into TensorFlow's registry; False when it holds one already.

    Asked first, because registering a name twice ends the process.
    """
    from tensorflow.lite.python.convert import register_custom_opdefs
    from tensorflow.python.framework import op_def_registry

    if op_def_registry.get(OP_NAME) is not None:
        return False
    register_custom_opdefs([_definition()])
    return True


def _definition() -> str:
    # The attributes for the quantiser must not be declared, only be on the node.
    lines = [f'name: "{OP_NAME}"']
    lines += [f'input_arg {{ name: "{name}" type: DT_FLOAT }}' for name in INPUT_NAMES]
    lines += [f'output_arg {{ name: "{name}" type: DT_FLOAT }}' for name in OUTPUT_NAMES]
    for field in dataclasses.fields(Options):
        kind = "int" if field.name in _INTEGERS else "float"
        kind = "bool" if field.name in _BOOLEANS else kind
        lines.append(f'attr {{ name: "{field.name}" type: "{kind}" }}')
    return "\n".join(lines)


def create_node(box_encodings: Any, scores: Any, anchors: Any, options: Options) -> list[Any]:
    """The op as a node of the graph under construction, which TensorFlow cannot run.

    Raises:
      RuntimeError: no graph is under construction.
    """
    if tf.executing_eagerly():
        raise RuntimeError(
            'op="node" has no implementation in TensorFlow and can only be converted; '
            'use op="composite" to run it, or call it inside a tf.function'
        )
    define_op()
    values = option_values(options)
    slots = int(values["max_detections"]) * int(values["max_classes_per_detection"])
    batch = box_encodings.shape[0]
    shapes = [[batch, slots, 4], [batch, slots], [batch, slots], [batch]]
    graph = tf.compat.v1.get_default_graph()
    node = graph.create_op(
        OP_NAME,
        [box_encodings, scores, anchors],
        [tf.float32] * len(OUTPUT_NAMES),
        attrs={name: _attribute(value) for name, value in values.items()} | _quantiser_marks(),
        name=OP_NAME,
    )
    for output, shape in zip(node.outputs, shapes, strict=True):
        output.set_shape(shape)
    return list(node.outputs)


def _attribute(value: int | bool | float) -> Any:
    if isinstance(value, bool):
        return tf.compat.v1.AttrValue(b=value)
    if isinstance(value, int):
        return tf.compat.v1.AttrValue(i=value)
    return tf.compat.v1.AttrValue(f=value)


def _quantiser_marks() -> dict[str, Any]:
    """With these the quantiser feeds the op 8-bit tensors and leaves its outputs float32."""
    types = tf.compat.v1.AttrValue.ListValue(type=[tf.float32.as_datatype_enum] * 4)
    return {
        "_output_quantized": tf.compat.v1.AttrValue(b=True),
        "_support_output_type_float_in_quantized_op": tf.compat.v1.AttrValue(b=True),
        "_output_types": tf.compat.v1.AttrValue(list=types),
    }
