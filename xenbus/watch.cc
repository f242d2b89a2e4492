// SPDX-License-Identifier: GPL-2.0-only
#include "xenbus/watch.hh"

#include "lib/log.hh"
#include "lib/ordering.hh"
#include "xenbus/text.hh"

namespace xpv {

namespace {

constinit xpv_lock_class watch_class;
constinit xpv_lock_class table_class;
constinit xpv_lock_class watch_queue_class;

constexpr unsigned int wait_slice_ms = 10000;

class Token {
public:
	explicit Token(std::uint32_t number)
	{
		size_ = static_cast<std::size_t>(xpv_format(text_, sizeof(text_), "%x", number)) + 1;
	}
	/* With its NUL. */
	[[nodiscard]] std::string_view wire() const { return { text_, size_ }; }

private:
	char text_[9];
	std::size_t size_;
};

/* With its NUL, as a message carries it. */
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

WatchTable::WatchTable(Client &client)
	: client_(client), next_token_(static_cast<std::uint32_t>(xpv_now_ms()) * 0x9e3779b1u)
{
	lock_.init("xpv store watches", watch_class);
	table_mutex_.init("xpv store watch table", table_class);
	xpv_wait_queue_init(&wait_queue_, "xpv store watch thread", &watch_queue_class);
}

Status WatchTable::start()
{
	thread_ = xpv_thread_run([](xpv_thread_context *context) { reinterpret_cast<WatchTable *>(context)->run(); },
				 reinterpret_cast<xpv_thread_context *>(this), "xpv-watch");
	if (!thread_)
		return Error(XEN_ENOMEM);
	return {};
}

void WatchTable::stop()
{
	if (!thread_)
		return;
	write_once(stopping_, true);
	xpv_wake_up_all(&wait_queue_);
	xpv_thread_stop(thread_);
	thread_ = nullptr;
}

WatchEventSink WatchTable::sink()
{
	return { [](WatchEventSink::Context *context, const WatchEvent &event) {
			reinterpret_cast<WatchTable *>(context)->event(event);
		},
		 reinterpret_cast<WatchEventSink::Context *>(this) };
}

unsigned int WatchTable::count()
{
	SpinGuard guard(lock_);
	return count_;
}

Watch *WatchTable::find_locked(std::uint32_t token)
{
	for (Watch &watch : table_)
		if (watch.token == token)
			return &watch;
	return nullptr;
}

Result<Watch *> WatchTable::add(const char *path, xpv_store_watch_callback *callback,
				struct xpv_store_watch_context *context, bool (*filter)(const char *path),
				void (*every)(struct xpv_store_watch_context *context, std::string_view path))
{
	auto watch = XPV_TRY(make<Watch>(XPV_MAY_SLEEP));
	watch->callback = callback;
	watch->context = context;
	watch->filter = filter;
	watch->every = every;
	watch->path = XPV_TRY(copy_text(path));
	/* Four billion watches later they begin anew, and are all free again. */
	watch->token = fetch_add(next_token_, 1);
	const Token token(watch->token);
	const std::string_view parts[] = { wire(watch->path), token.wire() };
	watch->unwatch = XPV_TRY(Client::prepare(XS_UNWATCH, XPV_STORE_NO_TRANSACTION, parts, 0));
	{
		/* Before the store knows of it: the first event may overtake the answer. */
		MutexGuard table(table_mutex_);
		SpinGuard guard(lock_);
		table_.push_back(*watch);
		count_++;
	}
	Status registered = client_.perform(XS_WATCH, XPV_STORE_NO_TRANSACTION, parts);
	/* EEXIST: a restore came between, which registered it with all the others. */
	if (!registered.ok() && !(registered.error() == XEN_EEXIST)) {
		/* It may be registered all the same, if only the answer is missing. */
		remove(watch.release());
		return registered.error();
	}
	return watch.release();
}

void WatchTable::remove(Watch *watch)
{
	if (!watch)
		return;
	Owned<Watch> last(watch);
	{
		MutexGuard table(table_mutex_);
		SpinGuard guard(lock_);
		static_cast<ListLink<WatchTableLink> *>(watch)->unlink();
		static_cast<ListLink<WatchPendingLink> *>(watch)->unlink();
		count_--;
	}

	/* From here on events find no such token. */
	struct Waiting {
		WatchTable *table;
		Watch *watch;
	} waiting = { this, watch };
	auto returned = [](xpv_wait_context *context) {
		auto &still = *reinterpret_cast<Waiting *>(context);
		SpinGuard guard(still.table->lock_);
		return still.table->running_ != still.watch;
	};
	while (!xpv_wait_event(&wait_queue_, returned, reinterpret_cast<xpv_wait_context *>(&waiting), wait_slice_ms)) {
	}

	auto call = client_.submit(std::move(watch->unwatch));
	/* Nobody needs the answer: should it fail, events are dropped by their token. */
	if (call.ok())
		call.value().forget();
}

/*
 * All of them in one burst, without waiting for answers: the store takes
 * them in order, before anything that was held.
 */
Status WatchTable::register_again()
{
	MutexGuard table(table_mutex_);
	for (Watch &watch : table_) {
		const Token token(watch.token);
		const std::string_view parts[] = { wire(watch.path), token.wire() };
		auto request = XPV_TRY(Client::prepare(XS_WATCH, XPV_STORE_NO_TRANSACTION, parts, 0));
		Call call = XPV_TRY(client_.submit_first(std::move(request)));
		call.forget();
	}
	return {};
}

void WatchTable::event(const WatchEvent &event)
{
	auto token = parse_hexadecimal(event.token);
	if (!token.ok())
		return;
	{
		SpinGuard guard(lock_);
		Watch *watch = find_locked(token.value());
		if (watch && watch->every) {
			watch->every(watch->context, event.path);
			return;
		}
	}
	/* Without memory for the path, the watch's own stands for it. */
	auto copy = copy_text(event.path);
	Array<char> changed;
	if (copy.ok())
		changed = copy.take();

	bool wake = false;
	{
		SpinGuard guard(lock_);
		Watch *watch = find_locked(token.value());
		if (!watch || (watch->filter && changed.data() && !watch->filter(changed.data())))
			return;
		std::swap(watch->changed, changed);
		if (!static_cast<ListLink<WatchPendingLink> *>(watch)->linked()) {
			pending_.push_back(*watch);
			wake = true;
		}
	}
	if (wake)
		xpv_wake_up_all(&wait_queue_);
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
	watch->callback(watch->context, changed.data() ? changed.data() : watch->path.data());
	{
		SpinGuard guard(lock_);
		running_ = nullptr;
	}
	xpv_wake_up_all(&wait_queue_);
	return true;
}

void WatchTable::run()
{
	auto has_work = [](xpv_wait_context *context) { return reinterpret_cast<WatchTable *>(context)->has_work(); };
	while (!read_once(stopping_)) {
		while (!read_once(stopping_) && call_one()) {
		}
		/* A time-out is no event: just look again. */
		static_cast<void>(xpv_wait_event(&wait_queue_, has_work, reinterpret_cast<xpv_wait_context *>(this),
						 wait_slice_ms));
	}
}

} // namespace xpv
