/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Receive side scaling: by which hash, and by which table, the backend chooses
 * the queue of a packet to us (netif.h, hashing). What Linux wants is kept here,
 * and is told to the backend of each connection through its control ring.
 *
 * Nothing waits for the backend: a work takes a response, if there is one, and
 * sends the next request. A backend that refuses one, or does not answer in time,
 * keeps choosing queues by itself, for as long as the connection lives.
 *
 * The bus serialises the functions that begin and end connections. The others may
 * run at any time.
 */
#pragma once

#include "evtchn/evtchn.hh"
#include "lib/guard.hh"
#include "lib/work.hh"
#include "netfront/connection.hh"
#include "netfront/control_ring.hh"

using xpv::operator""_lock;

namespace xpv {

class Rss {
public:
	/* The key is a random one, and the table spreads evenly. Sleeping context. */
	explicit Rss(xpv_vif &vif);
	Rss(const Rss &) = delete;
	Rss &operator=(const Rss &) = delete;

	/* ---- A connection. Sleeping context ---- */

	/*
	 * Allocate the control ring and its channel; on an error there is none.
	 * `name` is the vif's.
	 */
	[[nodiscard]] Status open(Domid backend, const char *name);
	/* Return whether there is a control ring. */
	[[nodiscard]] bool is_open() const { return channel_.is_open(); }
	/* What the backend must know; only when is_open(). */
	[[nodiscard]] Gref ring_reference() const;
	[[nodiscard]] Port port() const { return channel_.port(); }
	/* Begin to tell the backend, which is connected and has `queue_count` queues. */
	void start(unsigned int queue_count);
	/*
	 * End the ring. Its pages go to `left`. Return how many were parked. Does
	 * nothing when there is no ring.
	 */
	[[nodiscard]] unsigned int close(LeftRings &left);

	/* ---- Suspend ---- */

	/* Send no more requests. Any context. */
	void hold() { write_once(held_, true); }
	/* Wait until hold() is in force. Sleeping context. */
	void wait_held() { work_.cancel(); }
	/* Undo hold(), and go on where it came. Sleeping context. */
	void go_on();

	/* ---- Settings. Sleeping context ---- */

	/* As xpv_vif_get_rss() and xpv_vif_set_rss(). */
	void get(xpv_net_rss &settings);
	[[nodiscard]] Status set(const xpv_net_rss &settings);

	/* Return a word for the table in debugfs. Any context. */
	[[nodiscard]] const char *state() const { return read_once(state_); }

private:
	/* What is to be asked, in this order: the hash is switched on when its queues are known. */
	enum Step : uint32_t {
		get_mapping_size = 1 << 0,
		set_mapping_size = 1 << 1,
		set_mapping = 1 << 2,
		set_key = 1 << 3,
		set_algorithm = 1 << 4,
		get_types = 1 << 5,
		set_types = 1 << 6,
	};
	static constexpr uint32_t all_steps = (1 << 7) - 1;

	[[nodiscard]] static const char *name_of(Step step);
	void on_event();
	void work();
	void handle_answer_locked(const ControlRing::Polled &polled) XPV_REQUIRES(mutex_);
	void ask_next_locked() XPV_REQUIRES(mutex_);
	[[nodiscard]] bool is_needless_locked(Step step) XPV_REQUIRES(mutex_);
	[[nodiscard]] Result<bool> submit_locked(Step step) XPV_REQUIRES(mutex_);
	void give_up_locked(const char *state) XPV_REQUIRES(mutex_);
	[[nodiscard]] uint32_t types_in_use_locked() XPV_REQUIRES(mutex_);

	xpv_vif &vif_;
	Mutex mutex_{ "xpv netfront rss"_lock };

	/* What Linux wants. */
	uint8_t key_[XPV_NET_RSS_KEY_BYTES] XPV_GUARDED_BY(mutex_);
	uint32_t types_ XPV_GUARDED_BY(mutex_) = XPV_NET_RSS_TYPES;
	bool spread_evenly_ XPV_GUARDED_BY(mutex_) = true;
	uint32_t mapping_[XPV_NET_RSS_ENTRIES] XPV_GUARDED_BY(mutex_) = {}; /* unless spread_evenly_ */

	/* The connection; the last one's while there is none. */
	bool supported_ XPV_GUARDED_BY(mutex_) = false;
	unsigned int queue_count_ XPV_GUARDED_BY(mutex_) = 1;
	unsigned int entries_ XPV_GUARDED_BY(mutex_) = XPV_NET_RSS_ENTRIES; /* of the backend's table; 0: it has none */
	uint32_t known_types_ XPV_GUARDED_BY(mutex_) = XPV_NET_RSS_TYPES; /* that the backend knows */

	Owned<ControlRing> ring_; /* changed with the mutex held, while not started_ */
	bool started_ XPV_GUARDED_BY(mutex_) = false;
	uint32_t steps_ XPV_GUARDED_BY(mutex_) = 0; /* to be taken */
	Step asked_ XPV_GUARDED_BY(mutex_) = get_mapping_size; /* valid while the ring is busy */
	bool held_ = false; /* by a suspend; after a restore until the next connection */
	bool event_ = false; /* that awaits its EOI */
	bool progress_ XPV_GUARDED_BY(mutex_) = false; /* since the last event */
	const char *state_ = "-";

	Channel<&Rss::on_event> channel_{ *this };
	Work<&Rss::work> work_{ *this, XPV_WORK_RECOVERY, "xpv netfront control"_lock };
};

} // namespace xpv
