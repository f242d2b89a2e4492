// SPDX-License-Identifier: GPL-2.0-only
/* A user's two queues, and its close. */
#include "xenbus/node/user.hh"

#include "xenbus/node/users.hh"

using namespace xpv;

xpv_store_user::xpv_store_user(xpv_store_node *node)
    : lock_("xpv store user"_lock), node_(node), work_(*this, XPV_WORK_LONG, "xpv store user work"_lock)
{
}

void xpv_store_user::wake_locked()
{
	if (node_)
		xpv_store_node_wake(node_);
}

/* ---- Requests ---- */

bool xpv_store_user::writable()
{
	SpinGuard guard(lock_);
	return requests_count_ < requests_limit;
}

Result<size_t> xpv_store_user::write(const char *bytes, size_t size)
{
	size_t taken = 0;
	while (taken < size && writable()) {
		taken += XPV_TRY(stream_.take(bytes + taken, size - taken));
		if (!stream_.whole())
			continue;
		auto made = UserMessage::make(stream_.header(), { stream_.payload() }, XPV_MAY_SLEEP);
		stream_.reset();
		if (!made.ok())
			return made.error();
		{
			SpinGuard guard(lock_);
			requests_.push_back(*made.value().release());
			requests_count_++;
		}
		work_.schedule();
	}
	return taken;
}

/* Return the next request to handle; NULL if there is no request or no room for a reply. */
Owned<UserMessage> xpv_store_user::next()
{
	SpinGuard guard(lock_);
	if (!node_ || replies_size_ > replies_limit)
		return {};
	Owned<UserMessage> request(requests_.pop_front());
	if (request) {
		requests_count_--;
		wake_locked();
	}
	return request;
}

/* ---- Answers and events ---- */

void xpv_store_user::queue_locked(UserMessage &message)
{
	message.taken = 0;
	replies_.push_back(message);
	replies_size_ += message.size;
	wake_locked();
}

void xpv_store_user::reply(xsd_sockmsg header, unsigned int type, std::string_view body)
{
	header.type = type;
	auto made = UserMessage::make(header, { body }, XPV_MAY_SLEEP);
	SpinGuard guard(lock_);
	if (made.ok()) {
		queue_locked(*made.value().release());
	} else {
		broken_ = true;
		wake_locked();
	}
}

void xpv_store_user::event(UserWatch &watch, std::string_view path)
{
	xsd_sockmsg header = {};
	header.type = XS_WATCH_EVENT;
	/* If the event is too long for a message, the reserve replaces it. */
	auto made = UserMessage::make(header, { path, { "", 1 }, { watch.token.data(), watch.token.size() } }, XPV_ATOMIC);
	SpinGuard guard(lock_);
	if (!node_)
		return;
	if (made.ok() && replies_size_ + made.value()->size <= replies_limit)
		queue_locked(*made.value().release());
	else if (watch.reserve)
		queue_locked(*watch.reserve.release());
}

Result<size_t> xpv_store_user::peek(const void **bytes)
{
	SpinGuard guard(lock_);
	UserMessage *first = replies_.front();
	if (!first) {
		if (broken_)
			return Error(XEN_EIO);
		return size_t{ 0 };
	}
	*bytes = first->bytes() + first->taken;
	return first->size - first->taken;
}

void xpv_store_user::skip(size_t size)
{
	Owned<UserMessage> read;
	bool has_room;
	{
		SpinGuard guard(lock_);
		UserMessage *first = replies_.front();
		if (!first)
			return;
		first->taken += size;
		if (first->taken < first->size)
			return;
		first->unlink();
		bool had_room = replies_size_ <= replies_limit;
		replies_size_ -= first->size;
		has_room = !had_room && replies_size_ <= replies_limit;
		if (first->reserve_of)
			first->reserve_of->reserve.reset(first);
		else
			read.reset(first);
	}
	if (has_room)
		work_.schedule();
}

/* ---- The end ---- */

void xpv_store_user::close()
{
	/* Schedule with the lock held: a run that sees node_ cleared may free this object. */
	SpinGuard guard(lock_);
	node_ = nullptr;
	work_.schedule();
}

/* Free everything. The file is closed, and no event comes after end_all(). */
void xpv_store_user::end()
{
	end_all();
	{
		SpinGuard guard(lock_);
		while (UserMessage *request = requests_.pop_front())
			destroy(request);
		while (UserMessage *reply = replies_.pop_front())
			destroy(reply);
	}
	store_user_ended(*this);
}

void xpv_store_user::run()
{
	while (Owned<UserMessage> request = next())
		answer(*request);
	bool closed;
	{
		SpinGuard guard(lock_);
		closed = !node_;
	}
	/* close() may schedule another run after the one that ended the user. */
	if (closed && !std::exchange(ended_, true))
		end();
}
