/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ids of requests that are in flight on a ring, each with a shadow: our own copy
 * of the request. An id that the other end sends back is looked up here. An id
 * that is not in use has no shadow, so no request completes twice, and nothing
 * completes that was not requested.
 *
 * Not locked: the owner serialises its calls.
 */
#pragma once

#include <cstdint>
#include <utility>

#include "lib/memory.hh"
#include "lib/result.hh"

namespace xpv {

/* `Shadow` is plain data. Ids are 0 to count() - 1. */
template <typename Shadow>
class Slots {
public:
	Slots() = default;
	Slots(Slots &&other)
	    : slots_(std::move(other.slots_)), first_free_(other.first_free_), free_(std::exchange(other.free_, 0))
	{
	}
	Slots &operator=(Slots &&other)
	{
		slots_ = std::move(other.slots_);
		first_free_ = other.first_free_;
		free_ = std::exchange(other.free_, 0);
		return *this;
	}
	Slots(const Slots &) = delete;
	Slots &operator=(const Slots &) = delete;

	/* Create `count` ids, all free; ENOMEM. */
	[[nodiscard]] static Result<Slots> make(unsigned int count, xpv_allocation how)
	{
		Slots slots;
		slots.slots_ = XPV_TRY(Array<Slot>::make(count, how));
		/* The first free id is the lowest one. */
		for (unsigned int id = count; id-- > 0;)
			slots.put_free(id);
		return slots;
	}

	[[nodiscard]] unsigned int count() const { return static_cast<unsigned int>(slots_.size()); }
	[[nodiscard]] unsigned int free() const { return free_; }
	[[nodiscard]] unsigned int in_use() const { return count() - free_; }

	/* Allocate an id, with a zeroed shadow. Only when free() is not 0. */
	[[nodiscard]] unsigned int take()
	{
		unsigned int id = first_free_;
		Slot &slot = slots_[id];
		first_free_ = slot.next_free;
		free_--;
		slot.shadow = {};
		slot.used = true;
		return id;
	}
	/* Free an id, which must be in use. */
	void give_back(unsigned int id)
	{
		slots_[id].used = false;
		put_free(id);
	}

	/* Return the shadow of an id that is in use. */
	[[nodiscard]] Shadow &operator[](unsigned int id) const { return slots_[id].shadow; }
	/* Return the shadow of an id from the other end; nullptr when no such id is in use. */
	[[nodiscard]] Shadow *find(uint64_t id) const
	{
		if (id >= slots_.size() || !slots_[id].used)
			return nullptr;
		return &slots_[id].shadow;
	}

private:
	struct Slot {
		Shadow shadow;
		unsigned int next_free;
		bool used;
	};

	void put_free(unsigned int id)
	{
		slots_[id].next_free = first_free_;
		first_free_ = id;
		free_++;
	}

	Array<Slot> slots_;
	unsigned int first_free_ = 0;
	unsigned int free_ = 0;
};

} // namespace xpv
