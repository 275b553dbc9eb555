# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a target of reader_targets.py under atheris, with the flags of libFuzzer.

    python tests/fuzz/reader_fuzzer.py model_file corpus/ -max_total_time=60

Only the branches of detops and training.data count as coverage. Needs `atheris` (PyPI).
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]


def main() -> None:
    name = sys.argv[1]
    with atheris.instrument_imports(include=["detops", "training.data"]):
        from reader_targets import TARGETS

        for module in TARGETS[name].modules:
            importlib.import_module(module)
    target = TARGETS[name]
    corpus = Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed_{number}").write_bytes(seed)
    flags = sys.argv[2:]
    if target.words:
        dictionary = corpus.parent / f"{name}.dict"
        escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
        dictionary.write_text("".join(f'"{word}"\n' for word in escaped))
        flags = [f"-dict={dictionary}", *flags]
    atheris.Setup([sys.argv[0], *flags], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
