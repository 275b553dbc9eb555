# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What the documents show, works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import detops

ROOT = Path(__file__).parent.parent


def test_links_of_the_documents_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "training/README.md"]
    assert len(pages) >= 5
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_postprocess_snippet_of_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    snippet = next(s for s in re.findall(r"```python\n(.*?)```", text, re.S) if "postprocess(" in s)
    names = {
        "detops": detops,
        "box_encodings": np.zeros((1, 3, 4), np.int8),
        "scores": np.full((1, 3, 91), 100, np.int8),
        "anchors": np.ones((3, 4), np.float32),
    }
    exec(snippet, names)
    found = names["found"]
    assert isinstance(found, detops.Detections)
    assert found.num_detections[0] == 1


def test_commands_that_the_readme_names_exist() -> None:
    text = (ROOT / "README.md").read_text()
    commands = set(re.findall(r"`detops (\w+)[ `]", text))
    assert commands == {"demo", "detect", "inspect", "doctor", "bench", "eval", "convert"}
    edits = set(re.findall(r"`detops convert (\w+) ", text))
    assert edits == {"attach", "rewrite", "set", "tidy", "metadata"}
    for command in commands:
        asked = [sys.executable, "-m", "detops", command, "--help"]
        assert subprocess.run(asked, capture_output=True, check=False).returncode == 0


def test_the_python_example_finds_what_detect_finds(data_dir: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "examples/python/detect_photo.py"),
            str(data_dir / "models/coco_ssd_mnv1_100_300_uint8.tflite"),
            str(data_dir / "images/cats_and_dogs.jpg"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("detops runs 1 TFLite_Detection_PostProcess node")
    assert re.findall(r"class (\d+)", done.stdout)[0] == "16"
