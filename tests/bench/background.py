# SPDX-License-Identifier: GPL-2.0-only
"""Ending what runs in the background, in dom0 or a guest."""

# Of the process whose number is in {0}.pid: it is asked to end, and has 20 s for it.
STOP = "kill -TERM $(cat {0}.pid); n=0; while kill -0 $(cat {0}.pid) 2>/dev/null && [ $n -lt 100 ]; do " \
       "sleep 0.2; n=$((n+1)); done; "
