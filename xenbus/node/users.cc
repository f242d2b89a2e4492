// SPDX-License-Identifier: GPL-2.0-only
/* The C interface of the users of /dev/xen/xenbus. A separate work item frees them, because theirs must have ended. */
#include "xenbus/node/users.hh"

#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "lib/wait.hh"
#include "lib/work.hh"

using namespace xpv;

namespace xpv {

namespace {

constexpr unsigned int wait_slice_ms = 10000;

class Users {
public:
	Users() = default;
	Users(const Users &) = delete;
	Users &operator=(const Users &) = delete;
	/* Wait until all users are freed. All must be closed. Bounded by the timeout of the one request of each. */
	~Users()
	{
		auto all_gone = [this] {
			SpinGuard guard(lock_);
			return count_ == 0;
		};
		while (!gone_.wait_ms(wait_slice_ms, all_gone)) {
		}
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
		work_.schedule();
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
			destroy(user);
			SpinGuard guard(lock_);
			count_--;
			/* Wake with the lock held: the waiting task frees the queue. */
			gone_.wake_all();
		}
	}

	Spinlock lock_{ "xpv store users"_lock };
	unsigned int count_ XPV_GUARDED_BY(lock_) = 0;
	List<xpv_store_user> ended_ XPV_GUARDED_BY(lock_);
	WaitQueue gone_{ "xpv store users gone"_lock };
	Work<&Users::free_ended> work_{ *this, XPV_WORK_LONG, "xpv store users work"_lock };
};

constinit Users *users;

} // namespace

void store_user_ended(xpv_store_user &user)
{
	users->ended(user);
}

} // namespace xpv

int xpv_store_users_start()
{
	auto made = make<Users>(XPV_MAY_SLEEP);
	if (made.ok())
		users = made.value().release();
	return made.code();
}

void xpv_store_users_stop()
{
	/* Clear `users` last: users that end during the wait still use it. */
	Owned<Users> last(users);
	last.reset();
	users = nullptr;
}

int xpv_store_user_open(xpv_store_node *node, xpv_store_user **user)
{
	return hand_out(users->open(node), user);
}

void xpv_store_user_close(xpv_store_user *user)
{
	user->close();
}

long xpv_store_user_write(xpv_store_user *user, const void *bytes, size_t size)
{
	auto taken = user->write(static_cast<const char *>(bytes), size);
	return taken.ok() ? static_cast<long>(taken.value()) : taken.code();
}

bool xpv_store_user_writable(xpv_store_user *user)
{
	return user->writable();
}

long xpv_store_user_peek(xpv_store_user *user, const void **bytes)
{
	auto there = user->peek(bytes);
	return there.ok() ? static_cast<long>(there.value()) : there.code();
}

void xpv_store_user_skip(xpv_store_user *user, size_t size)
{
	user->skip(size);
}
