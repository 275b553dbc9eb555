# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Prepares a TFLite converter for models that hold the op."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import tensorflow as tf

from detops.options import OP_NAME
from detops.tf.node_file import complete_nodes
from detops.tf.op_definition import define_op


def prepare_converter(converter: Any) -> tuple[str, ...]:
    """Makes a converter keep the op, and complete it in what `convert()` returns.

    Args:
      converter: a `tf.lite.TFLiteConverter` from `from_saved_model`, `from_keras_model` or
        `from_concrete_functions`.

    Returns:
      What was done, in words.

    Raises:
      TypeError: a converter of `tf.compat.v1`, or the class instead of a converter.
    """
    _check_kind(converter)
    done = ["allows custom ops"]
    converter.allow_custom_ops = True
    # Calibration runs the float model in an interpreter whose resolver holds the op already.
    done.append(f"{'defined' if define_op() else 'found'} {OP_NAME}")
    if _hold_variables(converter):
        done.append("converts by way of a saved model")
    _complete_after_conversion(converter)
    done.append("completes the node in the converted file")
    return tuple(done)


def _check_kind(converter: Any) -> None:
    kind = type(converter)
    if not any(base.__name__ == "TFLiteConverterBaseV2" for base in kind.__mro__):
        raise TypeError(
            "register_ops takes a converter made by tf.lite.TFLiteConverter.from_saved_model, "
            f"from_keras_model or from_concrete_functions, got {kind.__module__}.{kind.__name__}"
        )


def _hold_variables(converter: Any) -> bool:
    """Lets concrete functions be converted by way of a saved model, with all variables frozen.

    Otherwise TensorFlow inlines the composite function and the op is lost; that happens when no
    object was given to track the functions' variables. When one was given that does not see them,
    such as a tf.Module around a Keras 3 model, they stay variables in the file and it crashes.
    """
    functions = getattr(converter, "_funcs", None)
    if not functions:
        return False
    holder = tf.Module()
    holder.tracked = getattr(converter, "_trackable_obj", None)
    holder.found = [list(function.variables) for function in functions]
    converter._trackable_obj = holder
    return True


def _complete_after_conversion(converter: Any) -> None:
    convert = converter.convert

    @functools.wraps(convert)
    def convert_and_complete() -> Any:
        model, nodes = complete_nodes(convert())
        if not nodes:
            warnings.warn(
                f"the converted file holds no {OP_NAME} node: the model has none, or its function "
                "was inlined before the converter saw it",
                stacklevel=2,
            )
        return model

    converter.convert = convert_and_complete
