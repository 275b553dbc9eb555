# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Edits .tflite files around the op: attach it, rewrite its inputs, set its options, describe it.

    import detops.convert
    file.write_bytes(detops.convert.rewrite_quantized("model.tflite", into="uint8"))

Every function takes a path or the bytes of a model and returns the bytes of a new one. Writing
needs the package `flatbuffers` and the public TFLite schema, which LiteRT and TensorFlow both hold;
they are imported on first use. `read_metadata` needs neither.
"""

from detops.convert.metadata import Metadata, add_metadata, read_metadata
from detops.convert.option_edit import set_options
from detops.convert.postprocess_attach import attach_postprocess
from detops.convert.quantized_rewrite import rewrite_quantized
from detops.convert.tidy import tidy

__all__ = [
    "Metadata",
    "add_metadata",
    "attach_postprocess",
    "read_metadata",
    "rewrite_quantized",
    "set_options",
    "tidy",
]
