/* SPDX-License-Identifier: GPL-2.0-only */
/* Xen's end of vcpu.h and sched.h, for the fake hypervisor. */
#pragma once

#include <cstdint>

namespace xpv {

void fake_vcpus_reset();
/* VCPUOP_down, VCPUOP_up, VCPUOP_initialise. */
long fake_vcpu_op(unsigned int command, uint32_t vcpu, unsigned long argument);
/* SCHEDOP_shutdown, SHUTDOWN_suspend. */
long fake_sched_op(unsigned int command, unsigned long argument);

} // namespace xpv
