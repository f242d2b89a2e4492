/* SPDX-License-Identifier: GPL-2.0-only */
/* Putting the other vCPUs down and bringing them back: on CPU 0, while they are at the barrier. */
#pragma once

#include "lib/result.hh"

namespace xpv {

/* All or, if Xen refuses one, none; `cpu` is that one. */
[[nodiscard]] Status put_vcpus_down(unsigned int &cpu);

/*
 * Let them go on: those that the domain's restore has lost, from their saved
 * contexts. Repeats for return_ms what Xen refuses; a vCPU that it refuses
 * until then is the end of the guest. Returns how often it had to repeat.
 */
unsigned int bring_vcpus_back(bool restored, unsigned int return_ms);

} // namespace xpv
