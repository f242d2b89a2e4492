/* SPDX-License-Identifier: GPL-2.0-only */
/* Many grant table operations, a bounded number in each hypercall, and patience for those that must be tried again. */
#pragma once

#include "hypervisor/hypercall.hh"
#include "lib/shim.h"

namespace xpv {

/* How much of a call's operations go to Xen at once: the most that a stack has room for. */
inline constexpr unsigned int batch_size = 32;

/* From an operation's GNTST_*; negative errno. */
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
	default: /* GNTST_general_error and GNTST_bad_page, and what is not known yet */
		return -XEN_EIO;
	}
}

/* The other way round, as far as that goes. */
[[nodiscard]] constexpr int16_t grant_status(int code)
{
	for (int16_t candidate = GNTST_okay; candidate >= GNTST_no_space; candidate--)
		if (grant_errno(candidate) == code && code != -XEN_EIO)
			return candidate;
	return GNTST_general_error;
}

/*
 * The other end's frame may be paged out or being moved; Xen then says
 * "again" (GNTST_eagain), and nobody tells us when. One budget for a whole
 * call, however many operations need it: the other end cannot hold us longer.
 */
class Patience {
public:
	/* Sleeps, longer each time; false when it is used up. Sleeping context. */
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
 * For each i below `count` that build(i, operation) says true to, do the
 * operation that it built, and then finish(i, operation, code) with 0 or a
 * negative errno. An operation that must be tried again is built again.
 */
template <typename Operation, typename Build, typename Finish>
void run_in_batches(unsigned int count, Status (*hypercall)(Operation *, unsigned int), Build build, Finish finish)
{
	/* No GNTST_*: Xen did not get to it. */
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
			static_cast<void>(build(whose[k], operations[k])); /* true before, and so now */
			if (give_up)
				finish(whose[k], operations[k], -XEN_EAGAIN);
		}
		if (give_up)
			pending = 0;
	}
}

} // namespace xpv
