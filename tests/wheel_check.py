# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an installed wheel works, where there is NumPy and nothing else."""

from __future__ import annotations

import sys

import numpy as np

import detops


def main() -> None:
    loaded = {"tensorflow", "ai_edge_litert", "PIL"} & set(sys.modules)
    assert not loaded, f"import detops brought {loaded}"
    anchors = np.array([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2]], np.float32)
    found = detops.postprocess(
        np.zeros((1, 2, 4), np.int8),
        np.array([[[-28], [72]]], np.int8),
        anchors,
        detops.Options(num_classes=1),
        box_quantization=(0.1, 0),
        score_quantization=(1 / 256, -128),
    )
    assert found.scores[0].tolist()[:2] == [200 / 256, 0], found
    assert detops.delegate_path().is_file()
    print(f"detops {detops.__version__} works: {detops.cpu_features()}")


if __name__ == "__main__":
    main()
