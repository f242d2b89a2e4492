/* SPDX-License-Identifier: GPL-2.0-only */
/* For threads that spin, as stopped vCPUs do: the virtual clock takes that for work and stands still. */
#pragma once

#include "tests/host/fake/clock.hh"

namespace fake {

/* Move the clock although threads run, past what is due meanwhile. */
void pass(Clock::duration duration);

} // namespace fake
