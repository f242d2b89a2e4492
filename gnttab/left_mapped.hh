/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared pages of earlier connections that the other end has not unmapped. */
#pragma once

#include "gnttab/gnttab.hh"

namespace xpv {

/*
 * xen-blkback and xen-netback may keep the ring of a connection mapped until
 * the next one is made, so a frontend that waited for them would wait for
 * ever. Up to `places` such pages are kept here and tried again, so there should
 * be one for each ring; only a backend that leaves more costs memory, which
 * gnttab parks. Not locked. Any context but NMI.
 */
template <unsigned int places>
class LeftMapped {
public:
	LeftMapped() = default;
	LeftMapped(const LeftMapped &) = delete;
	LeftMapped &operator=(const LeftMapped &) = delete;

	/* Free the page, or keep it. Return the number of pages that had to be parked: 0 or 1. */
	[[nodiscard]] unsigned int keep(GrantedPage page)
	{
		if (page.try_reset().ok())
			return 0;
		for (GrantedPage &place : pages_) {
			if (!place.try_reset().ok())
				continue;
			place = std::move(page);
			return 0;
		}
		return 1;
	}
	/* Free what was unmapped meanwhile. */
	void retry()
	{
		for (GrantedPage &page : pages_)
			ignore(page.try_reset());
	}
	/* Park what is still mapped, and return how many pages that were. */
	[[nodiscard]] unsigned int park()
	{
		unsigned int parked = 0;
		for (GrantedPage &page : pages_) {
			parked += page.try_reset().ok() ? 0 : 1;
			page.reset();
		}
		return parked;
	}

private:
	GrantedPage pages_[places];
};

} // namespace xpv
