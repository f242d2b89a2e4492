// SPDX-License-Identifier: GPL-2.0-only
/*
 * The store client against a store made of the input's bytes: it answers,
 * lies, is silent, writes anything into the stream and into every field of
 * the page. Operations and the store's deeds are taken from the input in
 * turns; whenever the client rings, the store does something.
 */
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/host/fake/shim.hh"
#include "xenbus/store/store.hh"
#include "xenbus/store_owned.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

namespace {

using namespace xpv;

/* The input decides what a call returns. */
void any(int)
{
}

constexpr unsigned int operations_limit = 24;

/* What is left of the input; zeros past its end. */
class Input {
public:
	Input(const std::uint8_t *data, std::size_t size) : at_(data), end_(data + size) {}
	bool empty() const { return at_ == end_; }
	std::uint8_t byte() { return empty() ? 0 : *at_++; }
	std::uint32_t word()
	{
		std::uint32_t value = 0;
		for (int i = 0; i < 4; i++)
			value = value << 8 | byte();
		return value;
	}
	std::string bytes(std::size_t count)
	{
		std::string some;
		while (some.size() < count && !empty())
			some += static_cast<char>(byte());
		return some;
	}

private:
	const std::uint8_t *at_;
	const std::uint8_t *end_;
};

class FuzzedStore {
public:
	explicit FuzzedStore(Input &input) : input_(input) { std::memset(&page, 0, sizeof(page)); }

	Doorbell doorbell()
	{
		return { [](Doorbell::Context *context) { reinterpret_cast<FuzzedStore *>(context)->rung(); },
			 reinterpret_cast<Doorbell::Context *>(this) };
	}
	/* One deed, and the event that tells of it. */
	void act()
	{
		{
			std::lock_guard guard(mutex_);
			take_requests();
			deed();
		}
		tell();
	}
	Client *client = nullptr;
	xenstore_domain_interface page;

private:
	void rung()
	{
		/* Works of the client ring too; the input is the main thread's. */
		if (std::this_thread::get_id() == main_)
			act();
		else if (page.connection == XENSTORE_RECONNECT)
			reset();
	}
	void tell()
	{
		if (telling_)
			return;
		telling_ = true;
		static_cast<void>(client->on_event());
		telling_ = false;
	}
	void reset()
	{
		page.req_prod = page.req_cons = page.rsp_prod = page.rsp_cons = 0;
		__atomic_store_n(&page.connection, XENSTORE_CONNECTED, __ATOMIC_SEQ_CST);
	}
	void take_requests()
	{
		std::uint32_t produced = __atomic_load_n(&page.req_prod, __ATOMIC_SEQ_CST);
		for (unsigned int i = 0; page.req_cons != produced && i < XENSTORE_RING_SIZE; i++)
			stream_ += page.req[MASK_XENSTORE_IDX(page.req_cons++)];
		while (stream_.size() >= sizeof(xsd_sockmsg)) {
			xsd_sockmsg header;
			std::memcpy(&header, stream_.data(), sizeof(header));
			if (header.len > XENSTORE_PAYLOAD_MAX) {
				/* Only the fuzzed indices can do that. */
				stream_.clear();
				return;
			}
			if (stream_.size() < sizeof(header) + header.len)
				return;
			if (header.type == XS_WATCH) {
				std::string payload = stream_.substr(sizeof(header), header.len);
				std::size_t end = payload.find('\0');
				if (end != payload.npos)
					token_ = std::string(payload.c_str() + end + 1);
			}
			requests_.push_back(header);
			stream_.erase(0, sizeof(header) + header.len);
		}
	}
	void say(std::uint32_t type, std::uint32_t id, std::uint32_t length, const std::string &payload)
	{
		xsd_sockmsg header = { type, id, 0, length };
		say(std::string(reinterpret_cast<char *>(&header), sizeof(header)) + payload);
	}
	void say(const std::string &bytes)
	{
		for (char byte : bytes) {
			if (page.rsp_prod - page.rsp_cons >= XENSTORE_RING_SIZE)
				return;
			page.rsp[MASK_XENSTORE_IDX(page.rsp_prod)] = byte;
			__atomic_store_n(&page.rsp_prod, page.rsp_prod + 1, __ATOMIC_SEQ_CST);
		}
	}
	xsd_sockmsg next_request()
	{
		if (requests_.empty())
			return { XS_READ, input_.byte(), 0, 0 };
		last_ = requests_.front();
		requests_.erase(requests_.begin());
		return last_;
	}
	void deed()
	{
		static const char *const errors[] = { "ENOENT", "EAGAIN", "ENOSPC", "EQUOTA",  "E2BIG",
						      "EACCES", "EBUSY",  "EEXIST", "nonsense" };
		static const char *const answers[] = { "OK", "T", "F", "1", "4294967295", "/local/domain/7", "n0", "" };
		if (page.connection == XENSTORE_RECONNECT && input_.byte() % 4) {
			reset();
			return;
		}
		switch (input_.byte() % 16) {
		case 0:
		case 1: {
			xsd_sockmsg request = next_request();
			std::string answer = answers[input_.byte() % (sizeof(answers) / sizeof(answers[0]))];
			answer += '\0';
			say(request.type, request.req_id, static_cast<std::uint32_t>(answer.size()), answer);
			break;
		}
		case 2: {
			xsd_sockmsg request = next_request();
			std::string answer = input_.bytes(input_.byte());
			say(request.type, request.req_id, static_cast<std::uint32_t>(answer.size()), answer);
			break;
		}
		case 3: {
			xsd_sockmsg request = next_request();
			std::string name = errors[input_.byte() % (sizeof(errors) / sizeof(errors[0]))];
			name.resize(name.size() + input_.byte() % 2);
			say(XS_ERROR, request.req_id, static_cast<std::uint32_t>(name.size()), name);
			break;
		}
		case 4:
			say(input_.bytes(input_.byte()));
			break;
		case 5: {
			std::string payload = "node/below" + std::string(1, '\0') + token_ + std::string(1, '\0');
			payload += input_.bytes(input_.byte() % 8);
			payload.resize(payload.size() - input_.byte() % 4);
			say(XS_WATCH_EVENT, 0, static_cast<std::uint32_t>(payload.size()), payload);
			break;
		}
		case 6:
			page.rsp_prod = input_.byte() % 2 ? page.rsp_prod + input_.byte() : input_.word();
			break;
		case 7:
			page.req_cons = input_.byte() % 2 ? page.req_cons - input_.byte() : input_.word();
			break;
		case 8:
			page.error = input_.byte();
			break;
		case 9:
			page.connection = input_.byte() % 2;
			break;
		case 10:
			page.server_features = input_.byte();
			break;
		case 11: {
			/* Once more, or of another type, or of another length than there is. */
			std::uint32_t type = input_.byte();
			std::uint32_t length = input_.byte() % 2 ? 0 : input_.word();
			say(type, last_.req_id, length, input_.bytes(input_.byte() % 32));
			break;
		}
		case 12: {
			/* The largest answer, in as many turns as it takes. */
			xsd_sockmsg request = next_request();
			say(request.type, request.req_id, XENSTORE_PAYLOAD_MAX, std::string(900, 'x'));
			break;
		}
		case 13:
			say(std::string(1000, static_cast<char>(input_.byte())));
			break;
		default:
			break;
		}
	}

	std::mutex mutex_;
	std::thread::id main_ = std::this_thread::get_id();
	Input &input_;
	bool telling_ = false;
	std::string stream_;
	std::vector<xsd_sockmsg> requests_;
	xsd_sockmsg last_ = {};
	std::string token_ = "0";
};

void on_watch(xpv_store_watch_context *, const char *path)
{
	/* The path is text. */
	static_cast<void>(std::strlen(path));
}

class Run {
public:
	explicit Run(Input &input) : input_(input), peer_(input) {}
	~Run()
	{
		for (xpv_store_watch *watch : watches_)
			xpv_store_watch_unregister(watch);
		/* Without waiting for what will not come. */
		store_.client.close();
		store_.client.stop();
		store_.watches.stop();
		set_store(nullptr);
	}
	void go()
	{
		/* What an earlier user of the page left. */
		peer_.page.req_prod = peer_.page.req_cons = input_.byte() % 2 ? 0xfffffff0u : 0;
		peer_.page.server_features = input_.byte() % 4;
		peer_.client = &store_.client;
		store_.client.set_timeout(1);
		store_.client.set_watchdog(1 + input_.byte() % 8);
		set_store(&store_);
		if (!store_.watches.start().ok() ||
		    !store_.client.start(&peer_.page, peer_.doorbell(), store_.watches.sink()).ok())
			return;
		for (unsigned int i = 0; i < operations_limit && !input_.empty(); i++)
			operation();
	}

private:
	void raw(unsigned int type, const std::string &body)
	{
		char reply[XENSTORE_PAYLOAD_MAX];
		unsigned int reply_type;
		unsigned int length;
		any(xpv_store_request(type, transaction_.value, body.data(), static_cast<unsigned int>(body.size()),
				      &reply_type, reply, &length));
	}
	void operation()
	{
		switch (input_.byte() % 18) {
		case 0: {
			char value[64];
			std::size_t size = input_.byte() % (sizeof(value) + 1);
			any(xpv_store_read(transaction_, "a", value, size));
			break;
		}
		case 1:
			any(xpv_store_write(transaction_, "a", input_.bytes(input_.byte() % 32).c_str()));
			break;
		case 2: {
			std::string large(2000, 'w');
			any(xpv_store_write(transaction_, "a", large.c_str()));
			break;
		}
		case 3: {
			char *names = nullptr;
			std::size_t length = 0;
			if (xpv_store_directory(transaction_, "d", &names, &length) == 0)
				xpv_free(names);
			break;
		}
		case 4:
			raw(XS_MKDIR, std::string("a") + '\0');
			break;
		case 5:
			any(xpv_store_remove(transaction_, "a"));
			break;
		case 6:
			raw(XS_GET_PERMS, std::string("a") + '\0');
			break;
		case 7:
			any(xpv_store_transaction_start(&transaction_));
			break;
		case 8:
			any(xpv_store_transaction_end(transaction_, input_.byte() % 2));
			transaction_ = XPV_STORE_NO_TRANSACTION;
			break;
		case 9: {
			xpv_store_watch *watch = nullptr;
			if (xpv_store_watch_register("node", on_watch, nullptr, &watch) == 0)
				watches_.push_back(watch);
			break;
		}
		case 10:
			if (!watches_.empty()) {
				xpv_store_watch_unregister(watches_.back());
				watches_.pop_back();
			}
			break;
		case 11: {
			std::string body = input_.bytes(input_.byte() % 64);
			raw(input_.byte(), body);
			break;
		}
		case 12: {
			char values[20][16];
			xpv_store_read_item items[20];
			for (int i = 0; i < 20; i++)
				items[i] = { "k", values[i], sizeof(values[i]), 0 };
			any(xpv_store_read_many(transaction_, items, 20));
			break;
		}
		case 13:
			raw(XS_IS_DOMAIN_INTRODUCED, std::string("3") + '\0');
			break;
		case 14:
			raw(XS_GET_DOMAIN_PATH, std::string("3") + '\0');
			break;
		case 15:
			any(xpv_store_reset_watches());
			break;
		case 16:
			/* A restore is not the store's doing, and finds a page that is connected. */
			peer_.page.connection = XENSTORE_CONNECTED;
			peer_.page.server_features = 0;
			ignore(store_.client.restart(&peer_.page));
			break;
		default:
			peer_.act();
			break;
		}
	}

	Input &input_;
	FuzzedStore peer_;
	Store store_;
	xpv_store_transaction transaction_ = XPV_STORE_NO_TRANSACTION;
	std::vector<xpv_store_watch *> watches_;
};

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	std::size_t before = fake::live_allocations();
	{
		Input input(data, size);
		Run run(input);
		run.go();
	}
	fake::take_log();
	/* Memory is all given back, whatever the store did. */
	if (fake::live_allocations() != before)
		__builtin_trap();
	return 0;
}
