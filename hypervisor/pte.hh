/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page table entries of windows: the one place in xpv that builds, compares or
 * writes a PTE. Only hypervisor/window.cc and tests include it; tests/build
 * checks that. See docs/pte-windows.md.
 */
#pragma once

#include "hypervisor/window.h"
#include "lib/ordering.hh"

namespace xpv {

/* The architecture's bits, and those that are ignored when PTEs are compared because we do not choose them. */
namespace pte_bits {

inline constexpr uint64_t present = 1ul << 0;
inline constexpr uint64_t writable = 1ul << 1;
inline constexpr uint64_t user = 1ul << 2;
inline constexpr uint64_t accessed = 1ul << 5;
inline constexpr uint64_t dirty = 1ul << 6;
inline constexpr uint64_t global = 1ul << 8;
inline constexpr uint64_t software = 0x7fful << 52;
inline constexpr uint64_t no_execute = 1ul << 63;
inline constexpr unsigned int frame_shift = 12;
inline constexpr uint64_t frame = 0x000ffffffffff000;
/* The CPU sets the first two; Xen sets or clears the others in a PV guest's page tables. */
inline constexpr uint64_t ignored = accessed | dirty | global | software | user;

} // namespace pte_bits

/* A PTE as it was read from a page table. It can be inspected, but not be written anywhere. */
class FoundPte {
public:
	[[nodiscard]] static FoundPte read(const uint64_t &entry) { return FoundPte(read_once(entry)); }

	[[nodiscard]] constexpr bool present() const { return bits_ & pte_bits::present; }
	[[nodiscard]] constexpr bool writable() const { return bits_ & pte_bits::writable; }
	/* Set by Xen in a PV guest's page tables; the PTE is for user space only when software bit 52 is clear. */
	[[nodiscard]] constexpr bool user() const { return bits_ & pte_bits::user; }
	[[nodiscard]] constexpr bool accessed() const { return bits_ & pte_bits::accessed; }
	[[nodiscard]] constexpr bool dirty() const { return bits_ & pte_bits::dirty; }
	[[nodiscard]] constexpr bool no_execute() const { return bits_ & pte_bits::no_execute; }
	[[nodiscard]] constexpr Pfn frame() const { return Pfn{ (bits_ & pte_bits::frame) >> pte_bits::frame_shift }; }

private:
	friend class KernelPte;
	explicit constexpr FoundPte(uint64_t bits) : bits_(bits) {}

	uint64_t bits_;
};

/*
 * A PTE that we write: empty, or a frame that only the kernel may read or write
 * and that is not executable. There is no way to set the user bit, nor the global
 * bit, which would let a translation outlive a change of page tables.
 */
class KernelPte {
public:
	/* Not present. All zeros, so that speculation past a fault finds no frame in it. */
	constexpr KernelPte() : bits_(0) {}
	/*
	 * `supported`: the bits that this machine has (no NX when the kernel disables
	 * it). The frame must be representable().
	 */
	constexpr KernelPte(Pfn frame, xpv_window_access access, uint64_t supported)
	    : bits_((frame.value << pte_bits::frame_shift & pte_bits::frame) |
		    ((pte_bits::present | pte_bits::accessed | pte_bits::no_execute |
		      (access == XPV_WINDOW_READ_WRITE ? read_write : 0)) &
		     (supported & ~pte_bits::frame)))
	{
	}

	[[nodiscard]] static constexpr bool representable(Pfn frame)
	{
		return frame.value <= pte_bits::frame >> pte_bits::frame_shift;
	}

	[[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
	[[nodiscard]] constexpr Pfn frame() const { return Pfn{ (bits_ & pte_bits::frame) >> pte_bits::frame_shift }; }
	[[nodiscard]] constexpr xpv_window_access access() const
	{
		return bits_ & pte_bits::writable ? XPV_WINDOW_READ_WRITE : XPV_WINDOW_READ_ONLY;
	}

	/* Return whether `found` is this mapping, apart from the bits that the CPU and Xen change. */
	[[nodiscard]] constexpr bool is(FoundPte found) const
	{
		return (found.bits_ & ~pte_bits::ignored) == (bits_ & ~pte_bits::ignored);
	}

	/*
	 * Do one compare-and-swap. Return true if `entry` was `found` and is now this
	 * PTE; else set `found` to what was there.
	 */
	[[nodiscard]] bool swap_in(uint64_t &entry, FoundPte &found) const
	{
		return compare_exchange(entry, found.bits_, bits_);
	}

private:
	/* Dirty only with writable: to CET, dirty without writable is a shadow stack page. */
	static constexpr uint64_t read_write = pte_bits::writable | pte_bits::dirty;

	uint64_t bits_;
};

static_assert(sizeof(KernelPte) == 8 && sizeof(FoundPte) == 8);

/*
 * Change `entry` from `from` to `to`. Return false, and change nothing, when
 * somebody else put a third mapping there.
 */
[[nodiscard]] inline bool change_pte(uint64_t &entry, KernelPte from, KernelPte to)
{
	FoundPte found = FoundPte::read(entry);
	while (from.is(found)) {
		if (to.swap_in(entry, found))
			return true;
	}
	return false;
}

} // namespace xpv
