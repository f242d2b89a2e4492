// SPDX-License-Identifier: GPL-2.0-only
#include "netfront/rss.hh"

#include "lib/log.hh"
#include "netfront/vif.hh"

using namespace xpv;

static_assert(XPV_NET_RSS_IPV4 == XEN_NETIF_CTRL_HASH_TYPE_IPV4);
static_assert(XPV_NET_RSS_IPV4_TCP == XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP);
static_assert(XPV_NET_RSS_IPV6 == XEN_NETIF_CTRL_HASH_TYPE_IPV6);
static_assert(XPV_NET_RSS_IPV6_TCP == XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP);

namespace {

/* The largest power of 2 that a table of ours and of the backend's can have; 0 for none. */
unsigned int entries_of(uint32_t most)
{
	unsigned int entries = XPV_NET_RSS_ENTRIES;
	while (entries > most)
		entries /= 2;
	return entries;
}

/* Whether a table of so many entries does the same. */
bool repeats(const uint32_t (&mapping)[XPV_NET_RSS_ENTRIES], unsigned int entries)
{
	if (entries == 0)
		return false;
	for (unsigned int i = entries; i < XPV_NET_RSS_ENTRIES; i++)
		if (mapping[i] != mapping[i - entries])
			return false;
	return true;
}

} // namespace

Rss::Rss(xpv_vif &vif) : vif_(vif)
{
	xpv_net_rss_key(key_, sizeof(key_));
}

/* ---- A connection ---- */

Status Rss::open(Domid backend, const char *name)
{
	auto ring = XPV_TRY(ControlRing::make(backend));
	char channel_name[48];
	xpv_format(channel_name, sizeof(channel_name), "%s-ctrl", name);
	write_once(event_, false);
	XPV_TRY(channel_.alloc_unbound(backend, channel_name, XPV_EVENT_EXPLICIT_EOI));
	MutexGuard guard(mutex_);
	ring_ = std::move(ring);
	return {};
}

Gref Rss::ring_reference() const
{
	return ring_->reference();
}

void Rss::start(unsigned int queue_count)
{
	MutexGuard guard(mutex_);
	write_once(held_, false);
	queue_count_ = queue_count;
	supported_ = static_cast<bool>(ring_);
	if (!supported_)
		return;
	entries_ = XPV_NET_RSS_ENTRIES;
	known_types_ = XPV_NET_RSS_TYPES;
	steps_ = all_steps;
	progress_ = false;
	started_ = true;
	write_once(state_, "setting");
	work_.schedule();
}

unsigned int Rss::close(LeftRings &left)
{
	{
		MutexGuard guard(mutex_);
		started_ = false;
	}
	/* From here on the work uses neither channel nor ring; the handler schedules it until the channel is closed. */
	channel_.close();
	work_.cancel();
	write_once(state_, "-");
	MutexGuard guard(mutex_);
	Owned<ControlRing> ring = std::move(ring_);
	if (!ring)
		return 0;
	ring->stop();
	return left.keep(ring->take_ring_page()) + left.keep(ring->take_data_page());
}

void Rss::go_on()
{
	write_once(held_, false);
	MutexGuard guard(mutex_);
	if (!started_)
		return;
	ring_->restart_deadline();
	work_.schedule();
}

/* ---- Requests and responses ---- */

const char *Rss::name_of(Step step)
{
	switch (step) {
	case get_mapping_size:
		return "GET_HASH_MAPPING_SIZE";
	case set_mapping_size:
		return "SET_HASH_MAPPING_SIZE";
	case set_mapping:
		return "SET_HASH_MAPPING";
	case set_key:
		return "SET_HASH_KEY";
	case set_algorithm:
		return "SET_HASH_ALGORITHM";
	case get_types:
		return "GET_HASH_FLAGS";
	case set_types:
		return "SET_HASH_FLAGS";
	}
	return "";
}

/* A call that is due later is due at once. */
void Rss::on_event()
{
	write_once(event_, true);
	work_.reschedule();
}

void Rss::work()
{
	/* drain() waits for this while all disks are held. */
	NoIoScope no_io;
	MutexGuard guard(mutex_);
	/* The port of a ring that was stopped stays masked: no event can do any good. */
	if (!started_ || read_once(held_) || ring_->stopped())
		return;
	bool event = read_once(event_) && exchange(event_, false);
	ControlRing::Polled polled = ring_->poll();
	if (polled.violation) {
		write_once(state_, "failed");
		vif_.fail(polled.violation);
		return;
	}
	progress_ = progress_ || polled.answered;
	if (event)
		channel_.eoi(std::exchange(progress_, false) ? 0 : XPV_EOI_SPURIOUS);
	if (polled.answered)
		handle_answer_locked(polled);
	else if (ring_->busy() && ring_->left_ms() == 0) {
		XPV_WARNING_LIMITED("%s: backend does not answer on the control ring, not using receive hashing",
				    vif_.name());
		give_up_locked("no answer");
	}
	if (!ring_->stopped() && !ring_->busy())
		ask_next_locked();
	if (!ring_->stopped() && ring_->busy())
		work_.schedule(ring_->left_ms());
}

void Rss::handle_answer_locked(const ControlRing::Polled &polled)
{
	if (polled.status != XEN_NETIF_CTRL_STATUS_SUCCESS) {
		if (asked_ == get_mapping_size && polled.status == XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED) {
			entries_ = 0;
			return;
		}
		XPV_WARNING_LIMITED("%s: backend refuses %s (status %u), not using receive hashing", vif_.name(),
				    name_of(asked_), polled.status);
		give_up_locked("refused");
		return;
	}
	if (asked_ == get_mapping_size) {
		entries_ = entries_of(polled.data);
	} else if (asked_ == get_types) {
		known_types_ = polled.data & XPV_NET_RSS_TYPES;
		/* There may be none left. */
		if (types_in_use_locked() == 0)
			steps_ |= set_algorithm;
	}
}

/* With one queue there is nothing to choose, and the backend is spared the hash. */
uint32_t Rss::types_in_use_locked()
{
	return queue_count_ > 1 ? types_ & known_types_ : 0;
}

bool Rss::is_needless_locked(Step step)
{
	switch (step) {
	case set_mapping_size:
	case set_mapping:
		return entries_ == 0;
	case set_key:
	case get_types:
	case set_types:
		return types_in_use_locked() == 0;
	default:
		return false;
	}
}

void Rss::ask_next_locked()
{
	while (steps_ != 0) {
		auto step = static_cast<Step>(steps_ & -steps_);
		steps_ &= ~static_cast<uint32_t>(step);
		if (is_needless_locked(step))
			continue;
		asked_ = step;
		auto submitted = submit_locked(step);
		if (!submitted.ok()) {
			/* Cannot be: the ring is open, and not busy. */
			XPV_ERR_LIMITED("%s: cannot use the control ring (%pe)", vif_.name(), err_ptr(submitted.code()));
			give_up_locked("failed");
			return;
		}
		if (!submitted.value())
			return;
		auto sent = channel_.notify();
		if (!sent.ok() && !(sent.error() == XEN_ENOTCONN))
			XPV_ERR_LIMITED("%s: cannot notify the backend (%pe)", vif_.name(), err_ptr(sent.code()));
		return;
	}
	write_once(state_, types_in_use_locked() != 0 ? "on" : "off");
}

Result<bool> Rss::submit_locked(Step step)
{
	switch (step) {
	case get_mapping_size:
		return ring_->submit(XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE);
	case set_mapping_size:
		return ring_->submit(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, entries_);
	case set_mapping: {
		/* The table may have been made for more queues than this connection has. */
		uint32_t mapping[XPV_NET_RSS_ENTRIES];
		for (unsigned int i = 0; i < XPV_NET_RSS_ENTRIES; i++)
			mapping[i] = (spread_evenly_ ? i : mapping_[i]) % queue_count_;
		return ring_->submit_data(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, mapping, entries_ * sizeof(mapping[0]),
					  entries_);
	}
	case set_key:
		return ring_->submit_data(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, key_, sizeof(key_), sizeof(key_));
	case set_algorithm:
		return ring_->submit(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM,
				     types_in_use_locked() != 0 ? XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ :
								  XEN_NETIF_CTRL_HASH_ALGORITHM_NONE);
	case get_types:
		return ring_->submit(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS);
	case set_types:
		return ring_->submit(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, types_in_use_locked());
	}
	return Error(XEN_EINVAL);
}

/* For this connection. The pages stay as they are until its end. */
void Rss::give_up_locked(const char *state)
{
	ring_->stop();
	steps_ = 0;
	supported_ = false;
	write_once(state_, state);
}

/* ---- Settings ---- */

void Rss::get(xpv_net_rss &settings)
{
	MutexGuard guard(mutex_);
	settings.supported = supported_;
	settings.spread_evenly = spread_evenly_;
	settings.types = types_;
	__builtin_memcpy(settings.key, key_, sizeof(key_));
	for (unsigned int i = 0; i < XPV_NET_RSS_ENTRIES; i++)
		settings.mapping[i] = spread_evenly_ ? i % queue_count_ : mapping_[i];
}

Status Rss::set(const xpv_net_rss &settings)
{
	MutexGuard guard(mutex_);
	/* To go back to the table that there is without any is possible always. */
	if (!supported_ && !settings.spread_evenly)
		return Error(XEN_EOPNOTSUPP);
	if (settings.types & ~uint32_t{ XPV_NET_RSS_TYPES })
		return Error(XEN_EINVAL);
	if (!settings.spread_evenly && !repeats(settings.mapping, entries_))
		return Error(XEN_EOPNOTSUPP);

	uint32_t changed = 0;
	if (__builtin_memcmp(key_, settings.key, sizeof(key_)) != 0)
		changed |= set_key;
	if (types_ != settings.types)
		changed |= set_key | set_algorithm | get_types | set_types;
	if (spread_evenly_ != settings.spread_evenly ||
	    (!spread_evenly_ && __builtin_memcmp(mapping_, settings.mapping, sizeof(mapping_)) != 0))
		changed |= set_mapping;
	__builtin_memcpy(key_, settings.key, sizeof(key_));
	types_ = settings.types;
	spread_evenly_ = settings.spread_evenly;
	__builtin_memcpy(mapping_, settings.mapping, sizeof(mapping_));
	if (!started_ || ring_->stopped() || changed == 0)
		return {};
	steps_ |= changed;
	write_once(state_, "setting");
	work_.reschedule();
	return {};
}

/* ---- For the C files ---- */

void xpv_vif_get_rss(xpv_vif *vif, xpv_net_rss *settings)
{
	vif->rss().get(*settings);
}

int xpv_vif_set_rss(xpv_vif *vif, const xpv_net_rss *settings)
{
	return vif->rss().set(*settings).code();
}
