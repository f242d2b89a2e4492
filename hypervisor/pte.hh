/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page table entries of windows: the one place in xpv that builds, compares
 * or writes a PTE.
 */
#pragma once

#include "hypervisor/window.h"
#include "lib/ordering.hh"

namespace xpv {

/*
 * The content of a PTE: nothing, or a frame that only the kernel may read or
 * write and nobody execute. No constructor can set the user bit; nor the
 * global one, which would let a translation outlive a change of page tables.
 */
class KernelPte {
public:
	/* Not present. */
	constexpr KernelPte() : bits_(0) {}
	/* `supported`: the bits this machine has (no NX on a kernel told so). */
	constexpr KernelPte(Pfn frame, xpv_window_access access, uint64_t supported)
		: bits_((frame.value << 12 & frame_mask) |
			((present | accessed | dirty | no_execute |
			  (access == XPV_WINDOW_READ_WRITE ? writable : 0)) &
			 (supported & ~frame_mask)))
	{
	}

	[[nodiscard]] static KernelPte read(const uint64_t &entry) { return KernelPte(read_once(entry)); }

	[[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
	[[nodiscard]] constexpr bool user() const { return bits_ & user_bit; }
	[[nodiscard]] constexpr Pfn frame() const { return Pfn{ (bits_ & frame_mask) >> 12 }; }
	/* The same mapping, whatever the CPU (accessed, dirty) or Xen (for PV guests: software bits, global, user) did. */
	[[nodiscard]] constexpr bool same_mapping(KernelPte other) const
	{
		return (bits_ & ~ignored) == (other.bits_ & ~ignored);
	}

	/* One compare-and-swap: true if `entry` was `expected` and is now this; else `expected` is what was found. */
	[[nodiscard]] bool swap_in(uint64_t &entry, KernelPte &expected) const
	{
		return compare_exchange(entry, expected.bits_, bits_);
	}

private:
	explicit constexpr KernelPte(uint64_t bits) : bits_(bits) {}

	static constexpr uint64_t present = 1ul << 0;
	static constexpr uint64_t writable = 1ul << 1;
	static constexpr uint64_t user_bit = 1ul << 2;
	static constexpr uint64_t accessed = 1ul << 5;
	static constexpr uint64_t dirty = 1ul << 6;
	static constexpr uint64_t global = 1ul << 8;
	static constexpr uint64_t software = 0x7fful << 52;
	static constexpr uint64_t no_execute = 1ul << 63;
	static constexpr uint64_t frame_mask = 0x000ffffffffff000;
	static constexpr uint64_t ignored = accessed | dirty | global | software | user_bit;

	uint64_t bits_;
};

static_assert(sizeof(KernelPte) == 8);

/* `entry` from `from` to `to`; false when somebody else put a third mapping there. */
[[nodiscard]] inline bool change_pte(uint64_t &entry, KernelPte from, KernelPte to)
{
	KernelPte found = KernelPte::read(entry);
	while (found.same_mapping(from)) {
		if (to.swap_in(entry, found))
			return true;
	}
	return false;
}

} // namespace xpv
