/* SPDX-License-Identifier: GPL-2.0-only */
/* Run many grant table operations, a bounded number per hypercall, and retry those that Xen cannot do yet. */
#pragma once

#include "hypervisor/hypercall.hh"
#include "lib/shim.h"

namespace xpv {

/* Operations per hypercall: as many as there is room for on the stack. */
inline constexpr unsigned int batch_size = 32;

/* Convert the GNTST_* of an operation to a negative errno. */
[[nodiscard]] constexpr int grant_errno(int grant_status)
{
	switch (grant_status) {
	case GNTST_okay:
		return 0;
	case GNTST_bad_domain:
		return -XEN_ESRCH;
	case GNTST_bad_gntref:
		return -XEN_ENOENT;
	case GNTST_bad_handle:
		return -XEN_EBADF;
	case GNTST_bad_virt_addr:
	case GNTST_bad_dev_addr:
		return -XEN_EFAULT;
	case GNTST_permission_denied:
		return -XEN_EACCES;
	case GNTST_bad_copy_arg:
		return -XEN_EINVAL;
	case GNTST_address_too_big:
		return -XEN_ERANGE;
	case GNTST_eagain:
		return -XEN_EAGAIN;
	case GNTST_no_device_space:
	case GNTST_no_space:
		return -XEN_ENOSPC;
	default: /* GNTST_general_error, GNTST_bad_page and unknown values */
		return -XEN_EIO;
	}
}

/* Convert a negative errno to GNTST_*; GNTST_general_error if it has no counterpart. */
[[nodiscard]] constexpr int16_t grant_status(int code)
{
	for (int16_t candidate = GNTST_okay; candidate >= GNTST_no_space; candidate--)
		if (grant_errno(candidate) == code && code != -XEN_EIO)
			return candidate;
	return GNTST_general_error;
}

/*
 * The retry budget for GNTST_eagain: the other end's frame is paged out or
 * being moved, and Xen does not notify us when it is back. One budget for a
 * whole call, however many operations need it, so that the other end cannot
 * hold us longer.
 */
class Patience {
public:
	/* Sleep, longer each time; return false when the budget is used up. Sleeping context. */
	[[nodiscard]] bool wait()
	{
		if (next_ms_ > longest_ms)
			return false;
		xpv_sleep_ms(next_ms_);
		next_ms_ *= 2;
		return true;
	}

private:
	static constexpr unsigned int longest_ms = 512; /* 1 + 2 + ... + 512: a second */
	unsigned int next_ms_ = 1;
};

/*
 * For each i below `count` for which build(i, operation) returns true, do the
 * operation that it built, and then call finish(i, operation, code) with 0 or a
 * negative errno. An operation that must be retried is built again.
 */
template <typename Operation, typename Build, typename Finish>
void run_in_batches(unsigned int count, Status (*hypercall)(Operation *, unsigned int), Build build, Finish finish)
{
	/* Not a GNTST_* value: Xen did not reach the operation. */
	constexpr int16_t untouched = 1;

	Patience patience;
	Operation operations[batch_size];
	unsigned int whose[batch_size];
	unsigned int next = 0, pending = 0;
	for (;;) {
		for (; pending < batch_size && next < count; next++) {
			if (build(next, operations[pending]))
				whose[pending++] = next;
		}
		if (pending == 0)
			return;
		for (unsigned int k = 0; k < pending; k++)
			operations[k].status = untouched;
		Status called = hypercall(operations, pending);

		unsigned int again = 0;
		for (unsigned int k = 0; k < pending; k++) {
			int code = operations[k].status == untouched ? called.ok() ? -XEN_EIO : called.code() :
								       grant_errno(operations[k].status);
			if (code == -XEN_EAGAIN)
				whose[again++] = whose[k];
			else
				finish(whose[k], operations[k], code);
		}
		pending = again;
		bool give_up = again != 0 && !patience.wait();
		for (unsigned int k = 0; k < again; k++) {
			ignore(build(whose[k], operations[k])); /* true again, as before */
			if (give_up)
				finish(whose[k], operations[k], -XEN_EAGAIN);
		}
		if (give_up)
			pending = 0;
	}
}

} // namespace xpv
