/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests can see of, and do to, the shim in user space (lib/shim.h). */
#pragma once

#include <cstdarg>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace fake {

/* Return the number of blocks from xpv_alloc() and xpv_pages_alloc() that are not freed. */
std::size_t live_allocations();
/* Threads from xpv_thread_run() that nobody has stopped. */
std::size_t live_threads();
/* Wait until no work is pending or running. False: it still was after `milliseconds`. */
bool wait_for_work(unsigned int milliseconds);
/* The n-th allocation from now on (1: the next) fails, once; 0: none does. */
void fail_allocation(unsigned int n);
/* Once, when the next mutex was unlocked. */
void after_next_mutex(std::function<void()> function);
/* Whether this thread is between xpv_noio_begin() and xpv_noio_end(). */
bool noio_scope();
/*
 * While forbidden, as when all disks are stopped, count allocations that may
 * wait for block I/O; forbid_io(true) begins at 0.
 */
void forbid_io(bool forbid);
std::size_t io_waits();
/*
 * As where there is no memory for another worker: works of XPV_WORK_RECOVERY
 * and XPV_WORK_WATCHDOG run one after the other, in the one rescuer of their
 * queue, and those of the other queues wait for the end of the want.
 */
void only_rescuers(bool only);
/* Return what the kernel's vsnprintf() prints, of its extensions "%pe". */
__attribute__((format(printf, 1, 0))) std::string format_text(const char *format, va_list arguments);
/* Log lines since the last call. */
std::vector<std::string> take_log();

} // namespace fake
