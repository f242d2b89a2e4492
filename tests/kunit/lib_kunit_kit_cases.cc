// SPDX-License-Identifier: GPL-2.0-only
/* Checks of what C++ users build on: works, threads, waiting, deadlines, numbers, the edge to C. */
#include "tests/kunit/lib_kunit.h"

#include "lib/deadline.hh"
#include "lib/guard.hh"
#include "lib/memory.hh"
#include "lib/number.hh"
#include "lib/thread.hh"
#include "lib/wait.hh"
#include "lib/work.hh"
#include "tests/kunit/check.h"

namespace {

using namespace xpv;

static_assert("xpv class"_lock.name[4] == 'c');

/* Only a fault takes so long. */
constexpr unsigned int long_ms = 30000;
constexpr unsigned int never_ms = 1000 * long_ms;

/* Counts the runs of a work and of a thread. */
class Counter {
public:
	explicit Counter(xpv_work_queue queue) : work(*this, queue, "kunit work"_lock) {}

	[[nodiscard]] bool reaches(unsigned int count)
	{
		return changed_.wait_until(Deadline::after(long_ms), [=, this] {
			SpinGuard guard(lock_);
			return count_ == count;
		});
	}
	void let_thread_end()
	{
		SpinGuard guard(lock_);
		end_ = true;
		changed_.wake_all();
	}

private:
	void count()
	{
		SpinGuard guard(lock_);
		count_++;
		changed_.wake_all();
	}
	void count_and_wait()
	{
		count();
		ended_in_time_ = changed_.wait_ms(long_ms, [this] {
			SpinGuard guard(lock_);
			return end_;
		});
	}

	Spinlock lock_{ "kunit counter"_lock };
	WaitQueue changed_{ "kunit counter changed"_lock };
	unsigned int count_ XPV_GUARDED_BY(lock_) = 0;
	bool end_ XPV_GUARDED_BY(lock_) = false;
	bool ended_in_time_ = false;

public:
	[[nodiscard]] bool ended_in_time() const { return ended_in_time_; }
	Work<&Counter::count> work;
	Thread<&Counter::count_and_wait> thread{ *this };
};

const char *check_queue(xpv_work_queue queue)
{
	/* Not on the stack: the kernel's checks of such objects want them declared. */
	auto made = make<Counter>(XPV_MAY_SLEEP, queue);
	CHECK(made.ok());
	Counter &counter = *made.value().get();
	counter.work.schedule();
	CHECK(counter.reaches(1));
	counter.work.schedule(never_ms);
	counter.work.schedule(); /* keeps its time */
	counter.work.cancel();
	counter.work.schedule(never_ms);
	counter.work.reschedule();
	CHECK(counter.reaches(2));
	counter.work.schedule(never_ms); /* the destructor cancels */
	return nullptr;
}

struct Value {
	int number = 7;
};

struct Flag {
	explicit Flag(bool &flag) : flag_(flag) {}
	~Flag() { flag_ = true; }
	bool &flag_;
};

} // namespace

extern "C" {

const char *xpv_lib_test_work(void)
{
	for (xpv_work_queue queue : { XPV_WORK_SYSTEM, XPV_WORK_RECOVERY, XPV_WORK_WATCHDOG })
		if (const char *failed = check_queue(queue))
			return failed;
	return nullptr;
}

const char *xpv_lib_test_thread(void)
{
	auto made = make<Counter>(XPV_MAY_SLEEP, XPV_WORK_SYSTEM);
	CHECK(made.ok());
	Counter &counter = *made.value().get();
	CHECK(!counter.thread.started());
	counter.thread.stop(); /* nothing to stop */
	CHECK(counter.thread.start("kunit-thread").ok() && counter.thread.started());
	CHECK(counter.reaches(1));
	counter.let_thread_end();
	counter.thread.stop();
	CHECK(counter.ended_in_time() && !counter.thread.started());
	return nullptr;
}

const char *xpv_lib_test_lock_classes(void)
{
	LockClass same = "kunit raw lock"_lock;
	CHECK(same.object == "kunit raw lock"_lock.object && same.object != "kunit second raw lock"_lock.object);
	RawSpinlock first{ "kunit raw lock"_lock };
	RawSpinlock second{ "kunit second raw lock"_lock };
	for (int i = 0; i < 3; i++) {
		RawSpinGuard outer(first);
		RawSpinGuard inner(second);
	}
	return nullptr;
}

const char *xpv_lib_test_deadline(void)
{
	CHECK(Deadline::at(0).expired() && Deadline::at(0).left_ms() == 0);
	CHECK(!Deadline::at(UINT64_MAX).expired() && Deadline::at(UINT64_MAX).left_ms() == UINT_MAX);
	CHECK(Deadline::after(UINT64_MAX).at_ms() == UINT64_MAX);
	CHECK(Deadline::at(5).earlier_of(Deadline::at(3)).at_ms() == 3);
	CHECK(Deadline::at(3).earlier_of(Deadline::at(5)).at_ms() == 3);
	uint64_t before = xpv_now_ms();
	Deadline later = Deadline::after(long_ms);
	CHECK(later.at_ms() >= before + long_ms && !later.expired());
	CHECK(later.left_ms() <= long_ms);

	/* Evaluated once although the time is up, and until it holds. */
	unsigned int evaluated = 0;
	CHECK(!poll_until(Deadline::at(0), [&] { return ++evaluated == 2; }) && evaluated == 1);
	CHECK(poll_until(Deadline::at(0), [] { return true; }));
	evaluated = 0;
	CHECK(poll_until(later, [&] { return ++evaluated == 4; }) && evaluated == 4);
	Deadline soon = Deadline::after(3);
	CHECK(!poll_until(soon, [] { return false; }) && soon.expired());

	WaitQueue queue{ "kunit deadline"_lock };
	Deadline waited = Deadline::after(2);
	CHECK(!queue.wait_until(waited, [] { return false; }));
	CHECK(queue.wait_until(Deadline::at(0), [] { return true; }));
	return nullptr;
}

const char *xpv_lib_test_number(void)
{
	CHECK(parse_number("0").ok() && parse_number("0").value() == 0);
	CHECK(parse_number("51712").value_or(0) == 51712 && parse_number("0xCa00").value_or(0) == 0xca00);
	CHECK(parse_number("0X10").value_or(0) == 16 && parse_number("010").value_or(0) == 10);
	CHECK(parse_number("18446744073709551615").value_or(0) == UINT64_MAX);
	CHECK(parse_number("0xffffffffffffffff").value_or(0) == UINT64_MAX);
	CHECK(parse_number("18446744073709551616").code() == -XEN_ERANGE);
	CHECK(parse_number("99999999999999999999999").code() == -XEN_ERANGE);
	CHECK(parse_number("0x10000000000000000").code() == -XEN_ERANGE);
	CHECK(parse_number("11", 10).code() == -XEN_ERANGE && parse_number("10", 10).ok());
	for (const char *text :
	     { "", "0x", "x1", " 1", "1 ", "+1", "-1", "1a", "0xg", "00x1", "1.0", "99999999999999999999999x" })
		CHECK(parse_number(text).code() == -XEN_EINVAL);
	CHECK(parse_number(std::string_view("1\0", 2)).code() == -XEN_EINVAL);

	CHECK(parse_decimal("4294967295").value_or(0) == UINT32_MAX);
	CHECK(parse_decimal("4294967296").code() == -XEN_ERANGE && parse_decimal("0x1").code() == -XEN_EINVAL);
	CHECK(parse_decimal<uint16_t>("65535").value_or(0) == 65535 && !parse_decimal<uint16_t>("65536").ok());
	CHECK(parse_hexadecimal("deadbeef").value_or(0) == 0xdeadbeef && parse_hexadecimal("0x1").code() == -XEN_EINVAL);
	CHECK(parse_hexadecimal("123456789").code() == -XEN_ERANGE);
	return nullptr;
}

const char *xpv_lib_test_edges(void)
{
	Value *value = nullptr;
	CHECK(hand_out(make<Value>(XPV_MAY_SLEEP), &value) == 0 && value && value->number == 7);
	destroy(value);
	CHECK(hand_out(Result<Owned<Value>>(Error(XEN_EIO)), &value) == -XEN_EIO);
	int number = 3;
	CHECK(hand_out(Result<int>(Error(XEN_EIO)), &number) == -XEN_EIO && number == 3);
	CHECK(hand_out(Result<int>(4), &number) == 0 && number == 4);

	bool ended = false;
	auto flag = make<Flag>(XPV_MAY_SLEEP, ended);
	CHECK(flag.ok());
	destroy(flag.value().release());
	CHECK(ended);
	destroy(static_cast<Flag *>(nullptr));

	auto page = Page::make(XPV_MAY_SLEEP);
	CHECK(page.ok() && page.value().pfn().value == page.value().gfn().value);
	{
		NoIoScope outer;
		NoIoScope inner;
		CHECK(Array<uint64_t>::make(page_size, XPV_MAY_SLEEP).ok());
	}
	/* More than kmalloc() has, where the context may sleep. */
	CHECK(Array<uint64_t>::make(1 << 20, XPV_MAY_SLEEP).ok());
	CHECK(Array<uint64_t>::make(1 << 20, XPV_MAY_SLEEP_NO_IO).ok());
	CHECK(!Array<uint64_t>::make(1 << 20, XPV_ATOMIC).ok());
	CHECK(!Array<uint64_t>::make(1ul << 40, XPV_MAY_SLEEP).ok());
	return nullptr;
}

} /* extern "C" */
