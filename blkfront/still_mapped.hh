/* SPDX-License-Identifier: GPL-2.0-only */
/* Grants that the backend of a lost connection still maps. */
#pragma once

#include <utility>

#include "gnttab/gnttab.h"
#include "lib/memory.hh"

namespace xpv {

/*
 * A request whose pages are still mapped must not be submitted to the next
 * backend, because the last one may still execute it, and must not complete
 * successfully. The destructor parks the remaining references with their pages;
 * it must run before the requests end. No locking.
 */
class StillMapped {
public:
	StillMapped() = default;
	StillMapped(StillMapped &&other)
	    : references_(std::move(other.references_)), count_(std::exchange(other.count_, 0))
	{
	}
	StillMapped &operator=(StillMapped &&other)
	{
		park();
		references_ = std::move(other.references_);
		count_ = std::exchange(other.count_, 0);
		return *this;
	}
	StillMapped(const StillMapped &) = delete;
	StillMapped &operator=(const StillMapped &) = delete;
	~StillMapped() { park(); }

	/* Allocate room for `most` references, so that add() cannot fail. */
	[[nodiscard]] static Result<StillMapped> make(unsigned int most)
	{
		StillMapped mapped;
		mapped.references_ = XPV_TRY(Array<Gref>::make(most, XPV_MAY_SLEEP));
		return mapped;
	}

	/* Add references that a pool gave up because they are still mapped. */
	void add(const Gref *references, unsigned int count)
	{
		for (unsigned int i = 0; i < count; i++)
			references_[count_++] = references[i];
	}
	/* Revoke the references that were unmapped meanwhile. Returns how many are left. Any context but NMI. */
	[[nodiscard]] unsigned int revoke()
	{
		if (count_ != 0)
			count_ = xpv_grant_revoke_pages(references_.data(), count_);
		return count_;
	}

private:
	void park()
	{
		if (unsigned int count = std::exchange(count_, 0))
			xpv_grant_park(references_.data(), count);
	}

	Array<Gref> references_;
	unsigned int count_ = 0;
};

} // namespace xpv
