# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The op inside TensorFlow and Keras 3 models, and through the TFLite converter.

Importing this module imports TensorFlow; `import detops` alone does not.
"""

from detops.tf.layer import DetectionPostProcess
from detops.tf.op_definition import define_op
from detops.tf.postprocess import TensorDetections, detection_postprocess

__all__ = ["DetectionPostProcess", "TensorDetections", "define_op", "detection_postprocess"]
