# SPDX-License-Identifier: GPL-2.0-only
"""Tests import the runner (run.py) from their own directory."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
