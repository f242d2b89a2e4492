/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps work from straddling a restore, which would send its first requests to
 * one xenstored and its last to another: close() admits no more, occupied()
 * tells the suspend path when the last one has left. The work is done by one
 * task at a time.
 */
#pragma once

#include "lib/ordering.hh"

namespace xpv {

class Gate {
public:
	/* Admit no more. Work inside may still be in progress: see occupied(). */
	void close() { exchange(closed_, true); }
	/* Admit again. The owner must then schedule the work that was turned away. */
	void open() { store_release(closed_, false); }
	[[nodiscard]] bool closed() const { return load_acquire(closed_); }
	[[nodiscard]] bool occupied() const { return load_acquire(occupied_); }

	/* One pass through the gate; false when it is closed. */
	class [[nodiscard]] Pass {
	public:
		/* Either this sees closed_, or the task that closed the gate sees occupied_: both exchange first. */
		explicit Pass(Gate &gate) : gate_(gate)
		{
			exchange(gate_.occupied_, true);
			inside_ = !load_acquire(gate_.closed_);
		}
		~Pass() { store_release(gate_.occupied_, false); }
		Pass(const Pass &) = delete;
		Pass &operator=(const Pass &) = delete;
		explicit operator bool() const { return inside_; }

	private:
		Gate &gate_;
		bool inside_;
	};

private:
	bool closed_ = false;
	bool occupied_ = false;
};

} // namespace xpv
