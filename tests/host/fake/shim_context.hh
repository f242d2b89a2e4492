/* SPDX-License-Identifier: GPL-2.0-only */
/* What this thread may do in the shim in user space. */
#pragma once

namespace fake {

extern thread_local unsigned int spinlocks_held;
extern thread_local unsigned int raw_spinlocks_held;

[[noreturn]] void misuse(const char *what);
void must_be_able_to_sleep();

} // namespace fake
