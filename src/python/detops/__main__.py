# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Makes `python -m detops` the same as the command `detops`."""

import sys

from detops.cli import main

if __name__ == "__main__":
    sys.exit(main())
