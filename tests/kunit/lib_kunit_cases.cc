// SPDX-License-Identifier: GPL-2.0-only
/*
 * One set of checks of the base library, run by KUnit with the kernel's flags
 * and by tests/host with sanitizers.
 */
#include "tests/kunit/lib_kunit.h"

#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "lib/result.hh"
#include "lib/ring.hh"
#include "lib/untrusted.hh"
#include "tests/kunit/check.h"

namespace {

using namespace xpv;

static_assert(!std::is_convertible_v<uint32_t, Port>);
static_assert(!std::is_convertible_v<Port, Gref>);
static_assert(!std::is_convertible_v<Gfn, Mfn>);
static_assert(sizeof(Port) == 4 && sizeof(Gfn) == 8 && sizeof(Domid) == 2);
static_assert(!std::is_copy_constructible_v<Owned<int>> && std::is_move_constructible_v<Owned<int>>);
static_assert(!std::is_convertible_v<Untrusted<int>, int>);

/* Counts its own, to see each destroyed once. */
struct Counted {
	explicit Counted(int &counter) : counter_(&counter) { ++*counter_; }
	Counted(Counted &&other) : counter_(other.counter_) { ++*counter_; }
	Counted(const Counted &) = delete;
	~Counted() { --*counter_; }
	int *counter_;
};

Result<int> half(int n)
{
	if (n % 2)
		return Error(XEN_EINVAL);
	return n / 2;
}

Result<int> quarter(int n)
{
	int once = XPV_TRY(half(n));
	return XPV_TRY(half(once));
}

Status even(int n)
{
	ignore(XPV_TRY(half(n)) ? Status() : Status()); /* only whether it fails matters */
	return {};
}

struct test_request {
	uint64_t id;
	uint32_t payload[4];
};
struct test_response {
	uint64_t id;
	int16_t status;
};
DEFINE_RING_TYPES(test, struct test_request, struct test_response);
using TestRing = FrontRing<test_sring, test_request, test_response>;

struct Element : ListLink<> {
	int number = 0;
};

} // namespace

extern "C" {

const char *xpv_lib_test_result(void)
{
	CHECK(quarter(8).ok() && quarter(8).value() == 2);
	CHECK(!quarter(6).ok() && quarter(6).error() == XEN_EINVAL && quarter(6).code() == -XEN_EINVAL);
	CHECK(even(2).ok() && !even(3).ok());
	CHECK(quarter(6).value_or(7) == 7);
	CHECK(Error(-XEN_EIO) == Error(XEN_EIO));
	CHECK(Error(0).number() != 0);
	CHECK(status(0).ok() && status(5).ok() && status(-XEN_EBUSY).error() == XEN_EBUSY);

	int alive = 0;
	{
		Result<Counted> first{ Counted(alive) };
		CHECK(alive == 1);
		Result<Counted> second(std::move(first));
		Counted taken = second.take();
		CHECK(alive == 3);
		Result<Counted> failed{ Error(XEN_EIO) };
		CHECK(!failed.ok());
	}
	CHECK(alive == 0);
	return nullptr;
}

/*
 * Case 7 (XSA-155). The other end changes a value in shared memory after it was
 * checked. A compiler may read it again for its use, and the check then holds
 * for another value. Untrusted must copy once, and give out the copy, only
 * through a check.
 */
const char *xpv_lib_test_untrusted(void)
{
	uint32_t shared = 5;
	auto read = Untrusted<uint32_t>::copy_from(shared);
	shared = 500;
	CHECK(read.between(0, 10).ok() && read.between(0, 10).value() == 5);
	CHECK(!read.between(6, 10).ok() && read.between(6, 10).error() == XEN_ERANGE);
	CHECK(read.clamped(8, 9) == 8 && read.clamped(1, 2) == 2 && read.clamped(1, 9) == 5);
	CHECK(!read.validate([](uint32_t n) { return n % 2 == 0; }, XEN_EBADMSG).ok());

	test_response response = { 7, -1 };
	auto copy = Untrusted<test_response>::copy_from(response);
	response.id = 8;
	auto valid = copy.validate([](const test_response &r) { return r.id == 7 && r.status == -1; });
	CHECK(valid.ok() && valid.value().id == 7);
	return nullptr;
}

/*
 * Cases 1 and 2, and our own indices. The backend announces more responses than
 * requests, takes responses back, or overwrites req_prod. A driver that
 * believes it walks over the ring 2^32 times, or loses a notification. An
 * impossible index must be an error at each reading, and what is in the page of
 * our own indices must have no effect.
 */
const char *xpv_lib_test_ring(void)
{
	auto page = Page::make(XPV_MAY_SLEEP);
	CHECK(page.ok());
	auto *shared = static_cast<test_sring *>(page.value().get());
	TestRing ring;
	ring.init(shared, page_size);
	/* As Xen's own macro sizes it. */
	CHECK(ring.size() == __CONST_RING_SIZE(test, page_size));
	CHECK(ring.free_requests() == ring.size());

	/* Indices wrap around a few times. */
	RING_IDX served = 0;
	for (unsigned int round = 0; round < 100; round++) {
		unsigned int batch = 1 + round % ring.size();
		for (unsigned int i = 0; i < batch; i++)
			ring.put({ round * 1000ull + i, {} });
		bool notify = ring.push();
		CHECK(notify == (round == 0 || served + 1 - shared->req_event < batch + 1));
		CHECK(ring.responses().ok() && ring.responses().value() == 0);
		CHECK(ring.free_requests() == ring.size() - batch);
		for (unsigned int i = 0; i < batch; i++) {
			auto &slot = shared->ring[(served + i) & (ring.size() - 1)];
			uint64_t id = slot.req.id;
			CHECK(id == round * 1000ull + i);
			slot.rsp = { id, 0 };
		}
		served += batch;
		shared->rsp_prod = served;
		shared->req_event = served + 1;
		CHECK(ring.responses().value() == batch);
		for (unsigned int i = 0; i < batch; i++) {
			auto response = ring.take().validate([&](const test_response &r) {
				return r.id == round * 1000ull + i;
			});
			CHECK(response.ok());
		}
		auto more = ring.more_after_asking();
		CHECK(more.ok() && !more.value());
		CHECK(shared->rsp_event == served + 1);
	}

	/* A full ring, then what a hostile backend's index may say. */
	while (!ring.full())
		ring.put({ 1, {} });
	ignore(Result<bool>(ring.push())); /* the notification is not of interest here */
	shared->rsp_prod = served + ring.size();
	CHECK(ring.responses().ok() && ring.responses().value() == ring.size());
	shared->rsp_prod = served + ring.size() + 1;
	CHECK(!ring.responses().ok() && ring.responses().error() == XEN_EBADMSG);
	shared->rsp_prod = served - 1;
	CHECK(!ring.responses().ok());
	shared->rsp_prod = served + (1u << 31);
	CHECK(!ring.more_after_asking().ok());

	/* What the other end writes over our own index does not reach us: neither what can be consumed, */
	shared->req_prod = 12345;
	shared->rsp_prod = served + ring.size();
	CHECK(ring.responses().ok() && ring.responses().value() == ring.size());
	for (unsigned int i = 0; i < ring.size(); i++)
		ignore(ring.take().validate([](const test_response &) { return true; }));
	served += ring.size();
	/* nor whether it is to be notified (C15). */
	ring.put({ 1, {} });
	shared->req_event = served + 1;
	shared->req_prod = served + 1;
	CHECK(ring.push());
	return nullptr;
}

const char *xpv_lib_test_list(void)
{
	List<Element> list;
	Element elements[4];
	CHECK(list.empty() && !list.front() && !list.pop_front());
	for (int i = 0; i < 4; i++) {
		elements[i].number = i;
		list.push_back(elements[i]);
		CHECK(elements[i].linked());
	}
	int sum = 0;
	for (Element &element : list) {
		if (element.number == 1)
			element.unlink();
		sum = sum * 10 + element.number;
	}
	CHECK(sum == 123 && !elements[1].linked());
	elements[1].unlink(); /* harmless */
	list.push_front(elements[1]);
	CHECK(list.front() == &elements[1]);
	List<Element> other;
	other.take_all(list);
	CHECK(list.empty() && other.pop_front() == &elements[1] && other.pop_front() == &elements[0]);
	while (other.pop_front())
		;
	CHECK(other.empty());
	return nullptr;
}

const char *xpv_lib_test_ownership(void)
{
	int alive = 0;
	{
		auto made = make<Counted>(XPV_MAY_SLEEP, alive);
		CHECK(made.ok() && alive == 1);
		Owned<Counted> owner = made.take();
		Owned<Counted> thief = std::move(owner);
		CHECK(!owner && thief && alive == 1);
		thief = Owned<Counted>();
		CHECK(alive == 0);
	}
	auto array = Array<uint64_t>::make(100, XPV_ATOMIC);
	CHECK(array.ok());
	for (uint64_t word : array.value())
		CHECK(word == 0);
	CHECK(!Array<uint64_t>::make(~0ul, XPV_MAY_SLEEP).ok());

	auto page = Page::make(XPV_MAY_SLEEP);
	CHECK(page.ok() && reinterpret_cast<uintptr_t>(page.value().get()) % page_size == 0);
	auto *bytes = static_cast<const char *>(page.value().get());
	for (std::size_t i = 0; i < page_size; i++)
		CHECK(bytes[i] == 0);

	bool ran = false;
	{
		OnExit guard([&] { ran = true; });
	}
	CHECK(ran);
	ran = false;
	{
		OnExit guard([&] { ran = true; });
		guard.dismiss();
	}
	CHECK(!ran);
	return nullptr;
}

const char *xpv_lib_test_locks(void)
{
	Spinlock spinlock{ "test spinlock"_lock };
	Mutex mutex{ "test mutex"_lock };
	for (int i = 0; i < 3; i++) {
		MutexGuard outer(mutex);
		SpinGuard inner(spinlock);
	}
	xpv_completion done;
	xpv_completion_init(&done);
	CHECK(!xpv_wait_for_completion(&done, 1));
	xpv_complete(&done);
	CHECK(xpv_wait_for_completion(&done, 1000));

	xpv_log_limit limit = {};
	int permitted = 0;
	for (int i = 0; i < 1000; i++)
		permitted += xpv_log_permitted(&limit);
	CHECK(permitted >= 5 && permitted <= 10);
	return nullptr;
}

const char *xpv_lib_test_ordering(void)
{
	unsigned long words[2] = {};
	CHECK(!test_and_set_bit(70, words) && test_and_set_bit(70, words) && test_bit(70, words));
	CHECK(words[0] == 0 && words[1] == 1ul << 6);
	CHECK(test_and_clear_bit(70, words) && !test_and_clear_bit(70, words));
	set_bit(63, words);
	clear_bit(62, words);
	CHECK(words[0] == 1ul << 63);

	uint16_t flags = 1, expected = 2;
	CHECK(!compare_exchange(flags, expected, static_cast<uint16_t>(3)) && expected == 1 && flags == 1);
	CHECK(compare_exchange(flags, expected, static_cast<uint16_t>(3)) && flags == 3);
	CHECK(exchange(flags, static_cast<uint16_t>(9)) == 3 && flags == 9);
	uint32_t count = 5;
	CHECK(fetch_add(count, 2u) == 5 && count == 7);
	return nullptr;
}

} /* extern "C" */
