# SPDX-License-Identifier: GPL-2.0-only
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
