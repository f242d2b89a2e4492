/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes the other vCPUs down and brings them back: on CPU 0, while they are at the barrier. */
#pragma once

#include "lib/result.hh"

namespace xpv {

/* Take all other vCPUs down. If Xen refuses one, `cpu` is that one, and those that are down are brought back. */
[[nodiscard]] Status put_vcpus_down(unsigned int &cpu);

/*
 * Bring the vCPUs back; those that the restore lost resume from their saved
 * contexts. Retries what Xen refuses for return_ms, and panics if Xen still
 * refuses a vCPU then. Return the number of retries.
 */
unsigned int bring_vcpus_back(bool restored, unsigned int return_ms);

} // namespace xpv
