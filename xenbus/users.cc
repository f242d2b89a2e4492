// SPDX-License-Identifier: GPL-2.0-only
/* The C face of the store's users, and how they are freed: by a work item that is not their own. */
#include "xenbus/users.hh"

#include "lib/ordering.hh"

namespace xpv {

namespace {

constinit xpv_lock_class users_class;
constinit xpv_lock_class queue_class;
constinit xpv_lock_class work_class;

constexpr unsigned int wait_slice_ms = 10000;

class Users {
public:
	Users()
	{
		lock_.init("xpv store users", users_class);
		xpv_wait_queue_init(&gone_, "xpv store users", &queue_class);
		xpv_work_init(
			&work_, [](xpv_work_context *context) { reinterpret_cast<Users *>(context)->free_ended(); },
			reinterpret_cast<xpv_work_context *>(this), "xpv_store_users", &work_class);
	}
	Users(const Users &) = delete;
	Users &operator=(const Users &) = delete;
	/* Everybody has closed. Bounded by the time-out of the one request that each may have under way. */
	~Users()
	{
		auto all_gone = [](xpv_wait_context *context) {
			auto &users = *reinterpret_cast<Users *>(context);
			SpinGuard guard(users.lock_);
			return users.count_ == 0;
		};
		while (!xpv_wait_event(&gone_, all_gone, reinterpret_cast<xpv_wait_context *>(this), wait_slice_ms)) {
		}
		xpv_work_cancel(&work_);
	}

	Result<xpv_store_user *> open(xpv_store_node *node)
	{
		auto made = XPV_TRY(make<xpv_store_user>(XPV_MAY_SLEEP, node));
		SpinGuard guard(lock_);
		count_++;
		return made.release();
	}
	void ended(xpv_store_user &user)
	{
		{
			SpinGuard guard(lock_);
			ended_.push_back(user);
		}
		xpv_work_schedule(&work_, 0);
	}

private:
	void free_ended()
	{
		for (;;) {
			xpv_store_user *user;
			{
				SpinGuard guard(lock_);
				user = ended_.pop_front();
			}
			if (!user)
				return;
			user->wait_for_end();
			{
				Owned<xpv_store_user> last(user);
			}
			SpinGuard guard(lock_);
			count_--;
			/* Under the lock: who waits for this frees the queue. */
			xpv_wake_up_all(&gone_);
		}
	}

	Spinlock lock_;
	unsigned int count_ = 0;
	List<xpv_store_user> ended_;
	xpv_wait_queue gone_;
	xpv_work work_;
};

constinit Users *users;

} // namespace

void store_user_ended(xpv_store_user &user)
{
	users->ended(user);
}

} // namespace xpv

using namespace xpv;

int xpv_store_users_start(void)
{
	auto made = make<Users>(XPV_MAY_SLEEP);
	if (made.ok())
		users = made.value().release();
	return made.code();
}

void xpv_store_users_stop(void)
{
	/* Those that end now still look here. */
	Owned<Users> last(users);
	last.reset();
	users = nullptr;
}

int xpv_store_user_open(struct xpv_store_node *node, struct xpv_store_user **user)
{
	auto opened = users->open(node);
	if (opened.ok())
		*user = opened.value();
	return opened.code();
}

void xpv_store_user_close(struct xpv_store_user *user)
{
	user->close();
}

long xpv_store_user_write(struct xpv_store_user *user, const void *bytes, size_t size)
{
	auto taken = user->write(static_cast<const char *>(bytes), size);
	return taken.ok() ? static_cast<long>(taken.value()) : taken.code();
}

bool xpv_store_user_writable(struct xpv_store_user *user)
{
	return user->writable();
}

long xpv_store_user_peek(struct xpv_store_user *user, const void **bytes)
{
	auto there = user->peek(bytes);
	return there.ok() ? static_cast<long>(there.value()) : there.code();
}

void xpv_store_user_skip(struct xpv_store_user *user, size_t size)
{
	user->skip(size);
}
