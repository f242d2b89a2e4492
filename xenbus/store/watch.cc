// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register and remove watches, queue an event for a watch once, call the callbacks,
 * and register all watches again after a reconnection.
 */
#include "xenbus/store/watch.hh"

#include "lib/log.hh"
#include "lib/ordering.hh"
#include "xenbus/store/calls.hh"
#include "xenbus/store/text.hh"

namespace xpv {

namespace {

constexpr unsigned int wait_slice_ms = 10000;
/* Attempts to register a watch when the connection is lost meanwhile. */
constexpr unsigned int register_attempts = 5;
/* Delays between attempts to register refused watches: a lack of quota or memory may last. */
constexpr unsigned int first_again_ms = 1000;
constexpr unsigned int longest_again_ms = 64000;
/* Room for watches that are added during the burst. */
constexpr unsigned int register_spare = 16;

class Token {
public:
	explicit Token(uint32_t number)
	{
		size_ = static_cast<size_t>(xpv_format(text_, sizeof(text_), "%x", number)) + 1;
	}
	/* Return the token with its NUL, as a message carries it. */
	[[nodiscard]] std::string_view wire() const { return { text_, size_ }; }

private:
	char text_[9];
	size_t size_;
};

/* Return the text with its NUL, as a message carries it. */
std::string_view wire(const Array<char> &text)
{
	return { text.data(), text.size() };
}

Result<Array<char>> copy_text(std::string_view text)
{
	auto copy = XPV_TRY(Array<char>::make(text.size() + 1, XPV_MAY_SLEEP_NO_IO));
	__builtin_memcpy(copy.data(), text.data(), text.size());
	return copy;
}

} // namespace

WatchTable::WatchTable(Client &client) : client_(client), next_token_(static_cast<uint32_t>(xpv_now_ms()) * 0x9e3779b1u)
{
}

Status WatchTable::start()
{
	return thread_.start("xpv-watch");
}

void WatchTable::stop()
{
	register_work_.cancel();
	write_once(stopping_, true);
	wait_queue_.wake_all();
	thread_.stop();
}

WatchEventSink WatchTable::sink()
{
	return { [](WatchEventSink::Context *context, const WatchEvent &event) {
			static_cast<WatchTable *>(context)->event(event);
		},
		 [](WatchEventSink::Context *context) { static_cast<WatchTable *>(context)->register_all(); }, this };
}

unsigned int WatchTable::count()
{
	SpinGuard guard(lock_);
	return count_;
}

Watch *WatchTable::find_locked(uint32_t token)
{
	for (Watch &watch : table_)
		if (watch.token == token)
			return &watch;
	return nullptr;
}

Result<WatchTable::Adding> WatchTable::begin(const char *path, xpv_store_watch_callback *callback,
					     xpv_store_watch_context *context, bool (*filter)(const char *path),
					     void (*every)(xpv_store_watch_context *context, std::string_view path))
{
	auto watch = XPV_TRY(make<Watch>(XPV_MAY_SLEEP));
	watch->callback = callback;
	watch->context = context;
	watch->filter = filter;
	watch->every = every;
	watch->path = XPV_TRY(copy_text(path));
	/* Tokens wrap after four billion watches; the old ones are free by then. */
	watch->token = fetch_add(next_token_, 1);
	const Token token(watch->token);
	const std::string_view parts[] = { wire(watch->path), token.wire() };
	watch->unwatch = XPV_TRY(Client::prepare(XS_UNWATCH, XPV_STORE_NO_TRANSACTION, parts, 0));
	{
		/* Add it before XS_WATCH is sent: the first event may arrive before the reply. */
		SpinGuard guard(lock_);
		watch->connection = connection_;
		table_.push_back(*watch);
		count_++;
	}
	Adding adding;
	auto call = client_.submit(XS_WATCH, XPV_STORE_NO_TRANSACTION, parts, 0);
	if (call.ok())
		adding.call = call.take();
	else
		adding.submitted = call.error();
	adding.watch = watch.release();
	return adding;
}

Result<Watch *> WatchTable::end(Adding &adding)
{
	Watch *watch = adding.watch;
	const Token token(watch->token);
	const std::string_view parts[] = { wire(watch->path), token.wire() };
	Status registered = adding.submitted.ok() ? status(adding.call.wait().code()) : adding.submitted;
	for (unsigned int attempt = 1; attempt < register_attempts && registered.code() == -XEN_EAGAIN; attempt++)
		registered = client_.perform(XS_WATCH, XPV_STORE_NO_TRANSACTION, parts);
	/* No other watch has this token. EEXIST means that the burst after a reconnection registered this watch. */
	if (!registered.ok() && registered.error() == XEN_EEXIST)
		registered = {};
	if (!registered.ok()) {
		/* Send XS_UNWATCH too: if only the reply is missing, it may be registered. */
		remove(watch);
		return registered.error();
	}
	return watch;
}

Result<Watch *> WatchTable::add(const char *path, xpv_store_watch_callback *callback, xpv_store_watch_context *context,
				bool (*filter)(const char *path),
				void (*every)(xpv_store_watch_context *context, std::string_view path))
{
	auto adding = XPV_TRY(begin(path, callback, context, filter, every));
	return end(adding);
}

void WatchTable::remove(Watch *watch)
{
	if (!watch)
		return;
	Owned<Watch> last(watch);
	{
		MutexGuard registering(register_mutex_);
		{
			SpinGuard guard(lock_);
			static_cast<ListLink<WatchTableLink> *>(watch)->unlink();
			static_cast<ListLink<WatchPendingLink> *>(watch)->unlink();
			count_--;
		}
		auto call = client_.submit(std::move(watch->unwatch));
		/* The reply does not matter: if it fails, events are dropped because their token is unknown. */
		if (call.ok())
			call.value().forget();
	}

	/* Events do not find the token any more. Wait for a callback in progress. */
	auto returned = [&] {
		SpinGuard guard(lock_);
		return running_ != watch;
	};
	while (!wait_queue_.wait_ms(wait_slice_ms, returned)) {
	}
}

void WatchTable::event(const WatchEvent &event)
{
	auto token = parse_hexadecimal(event.token);
	if (!token.ok())
		return;
	Array<char> copy;
	{
		SpinGuard guard(lock_);
		Watch *watch = find_locked(token.value());
		if (!watch)
			return;
		if (watch->every) {
			ignore(deliver_locked(*watch, event.path, copy));
			return;
		}
	}
	/* Copy the path for the thread. If that fails, the callback gets the watch's own path. */
	auto made = copy_text(event.path);
	if (made.ok())
		copy = made.take();

	bool wake = false;
	{
		SpinGuard guard(lock_);
		if (Watch *watch = find_locked(token.value()))
			wake = deliver_locked(*watch, event.path, copy);
	}
	if (wake)
		wait_queue_.wake_all();
}

bool WatchTable::deliver_locked(Watch &watch, std::string_view path, Array<char> &copy)
{
	if (watch.filter && copy.data() && !watch.filter(copy.data()))
		return false;
	watch.events++;
	if (watch.every) {
		watch.every(watch.context, path);
		return false;
	}
	std::swap(watch.changed, copy);
	if (static_cast<ListLink<WatchPendingLink> &>(watch).linked())
		return false;
	pending_.push_back(watch);
	return true;
}

/* ---- After xenstored has dropped all watches ---- */

void WatchTable::register_all()
{
	{
		SpinGuard guard(lock_);
		connection_++;
		again_ms_ = 0;
	}
	register_work_.reschedule();
}

bool WatchTable::registered(const Watch &watch)
{
	SpinGuard guard(lock_);
	return registered_locked(watch);
}

void WatchTable::register_again()
{
	NoIoScope no_io;
	if (register_missing() != 0)
		register_work_.schedule(next_delay());
}

unsigned int WatchTable::next_delay()
{
	SpinGuard guard(lock_);
	again_ms_ = again_ms_ == 0 ? first_again_ms : again_ms_ < longest_again_ms ? again_ms_ * 2 : longest_again_ms;
	return again_ms_;
}

/* Send XS_WATCH for one missing watch, and return its token. If no watch is missing: token 0 and an empty Call. */
Result<Call> WatchTable::register_next(uint32_t &token)
{
	MutexGuard registering(register_mutex_);
	/* No watch can leave the table now, so its path can be used without lock_. */
	Watch *missing = nullptr;
	{
		SpinGuard guard(lock_);
		for (Watch &watch : table_) {
			if (watch.connection == connection_)
				continue;
			watch.connection = connection_;
			missing = &watch;
			break;
		}
	}
	token = 0;
	if (!missing)
		return Call();
	token = missing->token;
	const Token text(token);
	const std::string_view parts[] = { wire(missing->path), text.wire() };
	return client_.submit(XS_WATCH, XPV_STORE_NO_TRANSACTION, parts, 0);
}

/* Handle xenstored's reply for one watch of the burst. */
void WatchTable::take_answer(uint32_t token, Status answer)
{
	bool refused = !answer.ok() && !(answer.error() == XEN_EEXIST);
	bool wake = false;
	{
		SpinGuard guard(lock_);
		Watch *watch = find_locked(token);
		if (!watch)
			return;
		watch->refused = refused;
		if (refused) {
			XPV_ERR_LIMITED("%s: cannot register the watch again (%pe), retrying", watch->path.data(),
					err_ptr(answer.code()));
			watch->connection = connection_ - 1;
			/* Replaces the event that xenstored sends for a new watch. */
			Array<char> at_its_own_path;
			wake = deliver_locked(*watch, { watch->path.data(), watch->path.size() - 1 }, at_its_own_path);
		}
	}
	if (wake)
		wait_queue_.wake_all();
}

unsigned int WatchTable::register_missing()
{
	Calls calls;
	auto tokens = Array<uint32_t>::make(count() + register_spare, XPV_MAY_SLEEP_NO_IO);
	if (!tokens.ok() || !calls.reserve(static_cast<unsigned int>(tokens.value().size())).ok())
		return 1;
	while (!calls.full()) {
		uint32_t token;
		auto next = register_next(token);
		if (token == 0)
			break;
		if (!next.ok()) {
			take_answer(token, next.error());
			break;
		}
		tokens.value()[calls.count()] = token;
		ignore(status(calls.add(std::move(next))));
	}
	for (unsigned int i = 0; i < calls.count(); i++) {
		auto answer = calls[i].wait();
		take_answer(tokens.value()[i], answer.ok() ? Status() : Status(answer.error()));
	}
	unsigned int missing = 0;
	SpinGuard guard(lock_);
	for (Watch &watch : table_)
		missing += watch.connection != connection_;
	return missing;
}

bool WatchTable::has_work()
{
	SpinGuard guard(lock_);
	return read_once(stopping_) || !pending_.empty();
}

bool WatchTable::call_one()
{
	Watch *watch;
	Array<char> changed;
	{
		SpinGuard guard(lock_);
		watch = pending_.pop_front();
		if (!watch)
			return false;
		changed = std::move(watch->changed);
		running_ = watch;
	}
	/* The callback must not unregister its own watch, so the watch stays valid. */
	const char *where = changed.data() ? changed.data() : watch->path.data();
	uint64_t begun_ns = xpv_store_clock_ns();
	watch->callback(watch->context, where);
	xpv_trace_store_watch_called(where, xpv_store_clock_ns() - begun_ns);
	{
		SpinGuard guard(lock_);
		running_ = nullptr;
	}
	wait_queue_.wake_all();
	return true;
}

void WatchTable::run()
{
	/* Devices wait for the callbacks, and disks for devices, so memory reclaim must not wait for disks. */
	NoIoScope no_io;
	while (!read_once(stopping_)) {
		while (!read_once(stopping_) && call_one()) {
		}
		/* The result does not matter: the loop checks again. */
		ignore(wait_queue_.wait_ms(wait_slice_ms, [this] { return has_work(); }));
	}
}

} // namespace xpv
