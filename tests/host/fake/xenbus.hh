/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests can do to Linux's side of the device bus. */
#pragma once

namespace fake {

/* The next xpv_linux_device_add() fails. */
void fail_adding_a_device();

} // namespace fake
