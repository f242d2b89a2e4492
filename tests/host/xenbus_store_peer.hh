/* SPDX-License-Identifier: GPL-2.0-only */
/* xenstored's side of the ring, which a test plays message by message. */
#pragma once

#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>

#include "tests/host/fake/clock.hh"
#include "xenbus/store/store.hh"

/* "a", "b" -> "a\0b\0". */
inline std::string strings(std::initializer_list<std::string> parts)
{
	std::string all;
	for (const std::string &part : parts)
		all += part + '\0';
	return all;
}

class StorePeer {
public:
	struct Message {
		xsd_sockmsg header = {};
		std::string payload;
	};

	StorePeer() { std::memset(&page, 0, sizeof(page)); }

	xpv::Doorbell doorbell()
	{
		return { [](xpv::Doorbell::Context *context) {
				auto *peer = reinterpret_cast<StorePeer *>(context);
				std::lock_guard guard(peer->mutex_);
				peer->rings_++;
				peer->rung_.notify_all();
			},
			 reinterpret_cast<xpv::Doorbell::Context *>(this) };
	}
	/* Whom to ring. */
	void connect(xpv::Client &client) { client_ = &client; }
	/* As the client says: whether we had done anything since the last time. */
	bool ring() { return client_->on_event(); }

	/* The next request, or nothing when none came in time. */
	std::optional<Message> receive(unsigned int milliseconds = 2000)
	{
		Message message;
		std::string header = take(sizeof(xsd_sockmsg), milliseconds);
		if (header.size() != sizeof(xsd_sockmsg))
			return std::nullopt;
		std::memcpy(&message.header, header.data(), sizeof(xsd_sockmsg));
		message.payload = take(message.header.len, milliseconds);
		if (message.payload.size() != message.header.len)
			return std::nullopt;
		return message;
	}
	/* Bytes into the response ring, however long that takes the client to read. */
	void send_bytes(const std::string &bytes)
	{
		for (std::size_t sent = 0; sent < bytes.size();) {
			std::uint32_t used = page.rsp_prod - __atomic_load_n(&page.rsp_cons, __ATOMIC_SEQ_CST);
			if (used < XENSTORE_RING_SIZE) {
				page.rsp[MASK_XENSTORE_IDX(page.rsp_prod)] = bytes[sent++];
				__atomic_store_n(&page.rsp_prod, page.rsp_prod + 1, __ATOMIC_SEQ_CST);
			} else if (stopping_) {
				return;
			} else {
				ring();
				fake::sleep_for(std::chrono::milliseconds(1));
			}
		}
		ring();
	}
	static std::string bytes_of(std::uint32_t type, std::uint32_t id, std::uint32_t transaction,
				    const std::string &payload)
	{
		xsd_sockmsg header = { type, id, transaction, static_cast<std::uint32_t>(payload.size()) };
		return std::string(reinterpret_cast<const char *>(&header), sizeof(header)) + payload;
	}
	void reply(const Message &request, const std::string &payload)
	{
		send_bytes(bytes_of(request.header.type, request.header.req_id, request.header.tx_id, payload));
	}
	void reply_error(const Message &request, const std::string &name)
	{
		send_bytes(bytes_of(XS_ERROR, request.header.req_id, request.header.tx_id, strings({ name })));
	}
	void event(const std::string &path, const std::string &token)
	{
		send_bytes(bytes_of(XS_WATCH_EVENT, 0, 0, strings({ path, token })));
	}

	xenstore_domain_interface page;

protected:
	/* What is in the request ring, up to `size`. */
	std::string take(std::size_t size, unsigned int milliseconds)
	{
		std::string bytes;
		auto deadline = fake::Clock::now() + std::chrono::milliseconds(milliseconds);
		while (bytes.size() < size) {
			std::uint64_t seen;
			{
				std::lock_guard guard(mutex_);
				seen = rings_;
			}
			bool some = false;
			while (bytes.size() < size && page.req_cons != __atomic_load_n(&page.req_prod, __ATOMIC_SEQ_CST)) {
				bytes += page.req[MASK_XENSTORE_IDX(page.req_cons)];
				__atomic_store_n(&page.req_cons, page.req_cons + 1, __ATOMIC_SEQ_CST);
				some = true;
			}
			if (some) {
				ring();
				continue;
			}
			std::unique_lock guard(mutex_);
			if (!rung_.wait_until(guard, deadline, [&] { return rings_ != seen || stopping_; }) || stopping_)
				break;
		}
		return bytes;
	}

	std::mutex mutex_;
	fake::Condition rung_;
	std::uint64_t rings_ = 0;
	std::atomic<bool> stopping_ = false;
	xpv::Client *client_ = nullptr;
};

/* A client over a store that answers by hand. */
class StoreHarness {
public:
	explicit StoreHarness(unsigned int timeout_ms = 60000)
	{
		store.client.set_timeout(timeout_ms);
		peer.connect(store.client);
	}
	~StoreHarness()
	{
		if (started)
			stop();
	}
	xpv::Status start()
	{
		xpv::Status status = store.watches.start();
		if (status.ok())
			status = store.client.start(&peer.page, peer.doorbell(), store.watches.sink());
		started = true;
		xpv::set_store(&store);
		return status;
	}
	void stop()
	{
		started = false;
		store.client.stop();
		store.watches.stop();
		xpv::set_store(nullptr);
	}
	xpv_store_counts counts()
	{
		xpv_store_counts counts;
		xpv_store_get_counts(&counts);
		return counts;
	}

	StorePeer peer;
	xpv::Store store;
	bool started = false;
};
