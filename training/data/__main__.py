# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m training.data`."""

import sys

from training.data.commands import main

if __name__ == "__main__":
    sys.exit(main())
