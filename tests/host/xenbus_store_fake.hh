/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The store's side of the ring, for tests: either by hand, message by
 * message, or served by a small store with nodes, watches and transactions.
 */
#pragma once

#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "xenbus/store/store.hh"
#include "tests/host/fake/clock.hh"

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

/* A store that answers by itself. Relative paths are below /local/domain/7. */
class ServedStore : public StorePeer {
public:
	~ServedStore() { stop(); }
	void start(xpv::Client &client)
	{
		connect(client);
		thread_ = fake::Thread([this] {
			while (!stopping_)
				if (auto request = receive(100000))
					serve(*request);
		});
	}
	void stop()
	{
		{
			std::lock_guard guard(mutex_);
			stopping_ = true;
			rung_.notify_all();
		}
		if (thread_.joinable())
			thread_.join();
	}

	/*
	 * Another store, in the same page, of which the client knows nothing yet:
	 * what a restored domain finds. Served from go_on() on.
	 */
	void become_new()
	{
		stop();
		std::memset(&page, 0, sizeof(page));
		std::lock_guard guard(nodes_mutex_);
		nodes_.clear();
		history_.clear();
		watches_.clear();
		transactions_.clear();
		last_transaction_ = 0;
	}
	void go_on()
	{
		stopping_ = false;
		start(*client_);
	}

	/* As a domain with every right: the toolstack's, or the backend's. */
	void set(const std::string &path, const std::string &value) { change(path, value); }
	void erase(const std::string &path) { change(path, std::nullopt); }
	/* In one transaction: readers see all of them, or none. */
	void set_together(const std::vector<std::pair<std::string, std::optional<std::string>>> &changes)
	{
		change_together(changes);
	}
	std::optional<std::string> get(const std::string &path)
	{
		std::lock_guard guard(nodes_mutex_);
		auto found = nodes_.find(path);
		return found == nodes_.end() ? std::nullopt : std::optional(found->second);
	}
	/* Wait for a node to have a value. */
	bool becomes(const std::string &path, const std::string &value, unsigned int milliseconds = 10000)
	{
		std::unique_lock guard(nodes_mutex_);
		return changed_.wait_for(guard, std::chrono::milliseconds(milliseconds), [&] {
			auto found = nodes_.find(path);
			return found != nodes_.end() && found->second == value;
		});
	}
	/* All values that anybody gave to a node, in order. */
	std::vector<std::string> history(const std::string &path)
	{
		std::lock_guard guard(nodes_mutex_);
		return history_[path];
	}
	std::size_t watch_count()
	{
		std::lock_guard guard(nodes_mutex_);
		return watches_.size();
	}
	/* Nobody waits for the answer when a watch is removed. */
	bool watches_become(std::size_t count)
	{
		return fake::eventually([&] { return watch_count() == count; });
	}
	std::size_t open_transactions()
	{
		std::lock_guard guard(nodes_mutex_);
		return transactions_.size();
	}
	/* Called, without locks, after each change; a backend's brain. */
	std::function<void(const std::string &path)> on_change;
	/* Called, without locks, before each request is served. */
	std::function<void(const Message &request)> on_request;
	/* The next transactions to be committed fail with EAGAIN. */
	std::atomic<unsigned int> interfere = 0;
	/* Called, without locks, before each transaction starts. */
	std::function<void()> on_transaction;
	/* Refuse XS_WRITE to these with EACCES. Set before the store is started. */
	std::set<std::string> read_only;
	/* Refuse XS_WATCH with ENOSPC. */
	std::atomic<bool> refuse_watches = false;
	std::atomic<unsigned int> requests = 0;
	/* Leave XS_DIRECTORY without an answer for now. */
	std::atomic<bool> hold_directories = false;
	void answer_directories()
	{
		hold_directories = false;
		std::vector<Message> held;
		{
			std::lock_guard guard(nodes_mutex_);
			held.swap(held_);
		}
		for (const Message &request : held)
			serve(request);
	}
	bool directories_are_held()
	{
		std::unique_lock guard(nodes_mutex_);
		return changed_.wait_for(guard, std::chrono::seconds(10), [&] { return !held_.empty(); });
	}
	/* What `action` changes, watches do not tell of. */
	template <typename Action>
	void with_no_events(Action action)
	{
		mute_ = true;
		action();
		mute_ = false;
	}
	/* How often a node was read. */
	unsigned int reads(const std::string &path)
	{
		std::lock_guard guard(nodes_mutex_);
		return reads_[path];
	}

private:
	std::atomic<bool> mute_ = false;
	static constexpr const char *home = "/local/domain/7/";
	using Change = std::pair<std::string, std::optional<std::string>>;

	static std::string absolute(const std::string &path) { return path[0] == '/' ? path : home + path; }

	/* As the store does it: the node, the answer, and then the watches. */
	void change(const std::string &path, std::optional<std::string> value, const Message *asked = nullptr)
	{
		change_together({ { path, value } }, asked);
	}
	void change_together(const std::vector<Change> &changes, const Message *asked = nullptr)
	{
		std::vector<std::pair<std::string, std::string>> events;
		{
			std::lock_guard guard(nodes_mutex_);
			for (const auto &[path, value] : changes)
				apply(path, value, events);
		}
		changed_.notify_all();
		if (asked)
			answer(*asked, strings({ "OK" }));
		deliver(events);
		if (on_change)
			for (const auto &[path, value] : changes)
				on_change(path);
	}
	void apply(const std::string &path, const std::optional<std::string> &value,
		   std::vector<std::pair<std::string, std::string>> &events)
	{
		if (value) {
			nodes_[path] = *value;
			history_[path].push_back(*value);
		} else {
			std::erase_if(nodes_, [&](const auto &node) {
				return node.first == path || node.first.starts_with(path + "/");
			});
		}
		for (const auto &[token, watched] : watches_) {
			std::string at = absolute(watched);
			bool below = path == at || path.starts_with(at + "/");
			bool removed_above = !value && at.starts_with(path + "/");
			if (below || removed_above)
				events.emplace_back(watched[0] == '/' || !path.starts_with(home) ? path :
						    removed_above				 ? watched :
								    path.substr(std::strlen(home)),
						    token);
		}
	}
	void deliver(const std::vector<std::pair<std::string, std::string>> &events)
	{
		if (mute_)
			return;
		std::lock_guard guard(send_mutex_);
		for (const auto &[path, token] : events)
			event(path, token);
	}
	void answer(const Message &request, const std::string &payload)
	{
		std::lock_guard guard(send_mutex_);
		reply(request, payload);
	}
	void refuse(const Message &request, const char *name)
	{
		std::lock_guard guard(send_mutex_);
		reply_error(request, name);
	}

	void serve(const Message &request)
	{
		requests++;
		if (on_request)
			on_request(request);
		std::size_t end = request.payload.find('\0');
		std::string first = request.payload.substr(0, end);
		std::string rest = end == std::string::npos ? "" : request.payload.substr(end + 1);
		switch (request.header.type) {
		case XS_READ: {
			{
				std::lock_guard guard(nodes_mutex_);
				reads_[absolute(first)]++;
			}
			auto value = get(absolute(first));
			value ? answer(request, *value) : refuse(request, "ENOENT");
			break;
		}
		case XS_DIRECTORY: {
			if (hold_directories) {
				std::lock_guard guard(nodes_mutex_);
				held_.push_back(request);
				changed_.notify_all();
				break;
			}
			std::set<std::string> names;
			{
				std::lock_guard guard(nodes_mutex_);
				std::string prefix = absolute(first) + "/";
				for (const auto &[path, value] : nodes_)
					if (path.starts_with(prefix))
						names.insert(path.substr(prefix.size(),
									 path.find('/', prefix.size()) - prefix.size()));
			}
			std::string all;
			for (const auto &name : names)
				all += name + '\0';
			if (all.size() > XENSTORE_PAYLOAD_MAX)
				refuse(request, "E2BIG");
			else if (all.empty() && !get(absolute(first)))
				refuse(request, "ENOENT");
			else
				answer(request, all);
			break;
		}
		case XS_WRITE:
			if (read_only.count(absolute(first))) {
				refuse(request, "EACCES");
				break;
			}
			if (request.header.tx_id) {
				std::lock_guard guard(nodes_mutex_);
				transactions_[request.header.tx_id].emplace_back(absolute(first), rest);
			}
			if (request.header.tx_id)
				answer(request, strings({ "OK" }));
			else
				change(absolute(first), rest, &request);
			break;
		case XS_MKDIR:
			change(absolute(first), "", &request);
			break;
		case XS_RM:
			change(absolute(first), std::nullopt, &request);
			break;
		case XS_WATCH:
			if (refuse_watches) {
				refuse(request, "ENOSPC");
				break;
			}
			{
				std::lock_guard guard(nodes_mutex_);
				watches_[rest.substr(0, rest.find('\0'))] = first;
			}
			answer(request, strings({ "OK" }));
			deliver({ { first, rest.substr(0, rest.find('\0')) } });
			break;
		case XS_UNWATCH: {
			{
				std::lock_guard guard(nodes_mutex_);
				watches_.erase(rest.substr(0, rest.find('\0')));
			}
			answer(request, strings({ "OK" }));
			break;
		}
		case XS_TRANSACTION_START: {
			if (on_transaction)
				on_transaction();
			std::uint32_t id;
			{
				std::lock_guard guard(nodes_mutex_);
				id = ++last_transaction_;
				transactions_[id];
			}
			answer(request, strings({ std::to_string(id) }));
			break;
		}
		case XS_TRANSACTION_END: {
			std::vector<Change> changes;
			{
				std::lock_guard guard(nodes_mutex_);
				changes = std::move(transactions_[request.header.tx_id]);
				transactions_.erase(request.header.tx_id);
			}
			bool commit = first == "T";
			if (commit && interfere && interfere--) {
				refuse(request, "EAGAIN");
				break;
			}
			answer(request, strings({ "OK" }));
			if (commit)
				for (const auto &[path, value] : changes)
					change(path, value);
			break;
		}
		default:
			refuse(request, "ENOSYS");
		}
	}

	fake::Mutex send_mutex_; /* a message is sent whole; before nodes_mutex_ */
	std::mutex nodes_mutex_;
	fake::Condition changed_;
	std::map<std::string, std::string> nodes_;
	std::map<std::string, std::vector<std::string>> history_;
	std::map<std::string, unsigned int> reads_;
	std::vector<Message> held_;
	std::map<std::string, std::string> watches_; /* token -> path */
	std::map<std::uint32_t, std::vector<Change>> transactions_;
	std::uint32_t last_transaction_ = 0;
	fake::Thread thread_;
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
