/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual clock of the host tests, and what takes part in it. Time stands
 * still while any thread runs. Once all of them wait, the clock moves to the
 * next time-out or delayed work, at once. A test that waits for a minute takes
 * no time, and one that runs on a busy machine sees no time-out too early.
 *
 * Threads that wait for each other, or for time, do it by what is here and by
 * lib/shim.h, and are started by fake::Thread, fake::async(), or the shim: a
 * thread that waits by other means counts as running, and the clock with it
 * stands still. Where all wait and nothing is to come, the program is aborted.
 */
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <variant>

namespace fake {

/* The virtual clock, in the form of the standard's clocks. */
struct Clock {
	using duration = std::chrono::microseconds;
	using rep = duration::rep;
	using period = duration::period;
	using time_point = std::chrono::time_point<Clock>;
	static constexpr bool is_steady = true;

	static time_point now();
};

/* Wait until `duration` has passed. */
void sleep_for(Clock::duration duration);
/* Wait until no other thread runs: each waits for another or for time. The clock stands still. */
void settle();
/* sleep_for(), and settle(): what was due by then is done. */
void advance(Clock::duration duration);

/* Wait until condition() holds, which is evaluated whenever nothing else runs, at most for `limit`. */
template <typename Condition>
bool eventually(Condition condition, Clock::duration limit = std::chrono::seconds(20))
{
	for (auto end = Clock::now() + limit;;) {
		settle();
		if (condition())
			return true;
		if (Clock::now() >= end)
			return false;
		sleep_for(std::chrono::milliseconds(1));
	}
}

/* A thread that waits until woken, or for time, whatever the reason: what the shim's waits are made of. */
namespace waiting {

inline constexpr Clock::time_point never = Clock::time_point::max();

/* The lock of all that threads wait for here. */
std::mutex &lock();
/*
 * With lock() held by `guard`, which waiting gives up meanwhile: wait for
 * wake_all(reason) or wake_one(reason), true, or until `end`, false.
 */
bool wait(std::unique_lock<std::mutex> &guard, const void *reason, Clock::time_point end);
/* With lock() held. The thread that was woken, which waited longest; none: the id of no thread. */
std::thread::id wake_one(const void *reason);
void wake_all(const void *reason);

/* With lock() held: start a thread that takes part in the clock. */
std::thread start(std::function<void()> function);
/* With lock() held: call action(object), with lock() held, when the clock is at `at`; forget those of the object. */
void set_timer(Clock::time_point at, void (*action)(void *object), void *object);
void remove_timer(void *object);

} // namespace waiting

/* As std::mutex, for what is held over a wait. */
class Mutex {
public:
	Mutex() = default;
	Mutex(const Mutex &) = delete;
	void lock();
	void unlock();

private:
	std::thread::id owner_;
};

/* As std::condition_variable, for any kind of lock. */
class Condition {
public:
	void notify_all();
	void notify_one() { notify_all(); }

	template <typename Lock, typename Predicate>
	bool wait_until(Lock &lock, Clock::time_point end, Predicate predicate)
	{
		while (!predicate()) {
			std::uint64_t seen = notified();
			lock.unlock();
			bool woken = wait_from(seen, end);
			lock.lock();
			if (!woken)
				return predicate();
		}
		return true;
	}
	template <typename Lock, typename Predicate>
	bool wait_for(Lock &lock, Clock::duration duration, Predicate predicate)
	{
		return wait_until(lock, Clock::now() + duration, predicate);
	}
	template <typename Lock, typename Predicate>
	void wait(Lock &lock, Predicate predicate)
	{
		wait_until(lock, waiting::never, predicate);
	}

private:
	/* How often it was; and wait for more of that. */
	std::uint64_t notified();
	bool wait_from(std::uint64_t seen, Clock::time_point end);

	std::uint64_t notified_ = 0;
};

/* As std::thread. */
class Thread {
public:
	Thread() = default;
	template <typename Function>
	explicit Thread(Function function) : state_(std::make_shared<State>())
	{
		std::lock_guard guard(waiting::lock());
		thread_ = waiting::start([state = state_, function = std::move(function)]() mutable {
			function();
			std::lock_guard ending(waiting::lock());
			state->ended = true;
			waiting::wake_all(state.get());
		});
	}
	Thread(Thread &&) = default;
	Thread &operator=(Thread &&) = default;

	[[nodiscard]] bool joinable() const { return thread_.joinable(); }
	void join()
	{
		{
			std::unique_lock guard(waiting::lock());
			while (!state_->ended)
				waiting::wait(guard, state_.get(), waiting::never);
		}
		thread_.join();
	}

private:
	struct State {
		bool ended = false;
	};
	std::shared_ptr<State> state_;
	std::thread thread_;
};

/* As std::future and std::promise, without exceptions. */
template <typename T>
class Future {
public:
	using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
	struct State {
		~State()
		{
			if (thread.joinable())
				thread.join();
		}
		void set(Value made)
		{
			std::lock_guard guard(waiting::lock());
			value = std::move(made);
			waiting::wake_all(this);
		}
		std::optional<Value> value;
		std::thread thread;
	};

	Future() = default;
	explicit Future(std::shared_ptr<State> state) : state_(std::move(state)) {}
	Future(Future &&) = default;
	Future &operator=(Future &&other)
	{
		finish();
		state_ = std::move(other.state_);
		return *this;
	}
	~Future() { finish(); }

	[[nodiscard]] bool valid() const { return state_ != nullptr; }
	/* Whether there is a value after `duration`. */
	bool ready_in(Clock::duration duration)
	{
		auto end = Clock::now() + duration;
		std::unique_lock guard(waiting::lock());
		while (!state_->value)
			if (!waiting::wait(guard, state_.get(), end))
				break;
		return state_->value.has_value();
	}
	[[nodiscard]] bool ready() const
	{
		std::lock_guard guard(waiting::lock());
		return state_->value.has_value();
	}
	void wait() const
	{
		std::unique_lock guard(waiting::lock());
		while (!state_->value)
			waiting::wait(guard, state_.get(), waiting::never);
	}
	T get()
	{
		wait();
		auto state = std::exchange(state_, nullptr);
		if constexpr (!std::is_void_v<T>)
			return std::move(*state->value);
	}

private:
	/* A thread behind it is waited for, as std::async()'s is. */
	void finish()
	{
		if (state_ && state_->thread.joinable())
			wait();
		state_ = nullptr;
	}
	std::shared_ptr<State> state_;
};

template <typename T>
class Promise {
public:
	Future<T> get_future() { return Future<T>(state_); }
	void set_value(typename Future<T>::Value value = {}) { state_->set(std::move(value)); }

private:
	std::shared_ptr<typename Future<T>::State> state_ = std::make_shared<typename Future<T>::State>();
};

/* As std::async(std::launch::async, function). */
template <typename Function>
auto async(Function function)
{
	using T = decltype(function());
	auto state = std::make_shared<typename Future<T>::State>();
	std::lock_guard guard(waiting::lock());
	/* By a plain pointer: the state's destructor joins the thread. */
	state->thread = waiting::start([to = state.get(), function = std::move(function)]() mutable {
		if constexpr (std::is_void_v<T>) {
			function();
			to->set({});
		} else {
			to->set(function());
		}
	});
	return Future<T>(std::move(state));
}

} // namespace fake
