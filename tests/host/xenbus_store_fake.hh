/* SPDX-License-Identifier: GPL-2.0-only */
/* A small xenstored for tests, with nodes, watches and transactions, that answers by itself. */
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

#include "tests/host/fake/clock.hh"
#include "tests/host/xenbus_store_peer.hh"
#include "xenbus/store/store.hh"

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
	/* Refuse XS_WATCH with this error; past the quota C xenstored says E2BIG, oxenstored EQUOTA. */
	std::atomic<const char *> refuse_watches = nullptr;
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
	/*
	 * What `action` changes, watches do not tell of. Earlier events are handled
	 * first: their reader would see one half of the changes, and get no event for
	 * the other.
	 */
	template <typename Action>
	void with_no_events(Action action)
	{
		fake::settle();
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
			if (const char *error = refuse_watches) {
				refuse(request, error);
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
