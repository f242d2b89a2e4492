// SPDX-License-Identifier: GPL-2.0-only
/* One set of checks, run by KUnit with the kernel's flags and by tests/host with sanitizers. */
#include "tests/kunit/xenbus_kunit.h"

#include "lib/memory.hh"
#include "xenbus/store/message.hh"
#include "xenbus/bus/state.hh"
#include "tests/kunit/check.h"

namespace {

using namespace xpv;

/*
 * The table once more, written down independently. A row is where we are, a
 * column what the other end says:
 *   missing Initialising InitWait Initialised Connected Closing Closed
 *   Reconfiguring Reconfigured nonsense
 * A cell is what to do, and where that leads:
 *   . nothing   n negotiate   c connect   r recheck   x close   X restart
 *   p proceed   d disconnect  o reopen    O reopen if wanted   + confirm
 *   i initialising  I initialised  C connected  g closing  w draining (Closed, waiting)  z closed
 */
constexpr const char *expected[phase_count][node_state_count] = {
	/* initialising */ { ".i", ".i", "nI", "nI", "Xg", "xw", ".i", ".i", ".i", ".i" },
	/* initialised  */ { ".I", ".I", ".I", ".I", "cC", "xw", "xw", ".I", ".I", ".I" },
	/* connected    */ { ".C", ".C", "Xw", ".C", "rC", "xw", "xw", ".C", ".C", ".C" },
	/* closing      */ { "pw", "pw", "pw", ".g", ".g", "pw", "pw", ".g", ".g", ".g" },
	/* draining     */ { "dz", "dz", ".w", ".w", ".w", ".w", "dz", ".w", ".w", ".w" },
	/* closed       */ { "Oi", "Oi", "oi", "Oi", "Oi", "+z", "Oi", ".z", ".z", ".z" },
};

char letter(Action action)
{
	switch (action) {
	case Action::wait:
	case Action::ignore:
		return '.';
	case Action::negotiate:
		return 'n';
	case Action::connect:
		return 'c';
	case Action::recheck:
		return 'r';
	case Action::close:
		return 'x';
	case Action::restart:
		return 'X';
	case Action::proceed:
		return 'p';
	case Action::release:
		return 'd';
	case Action::reopen:
		return 'o';
	case Action::reopen_if_wanted:
		return 'O';
	case Action::confirm:
		return '+';
	case Action::complain:
		return '!';
	}
	return '?';
}

char letter(Phase phase)
{
	return "iICgwz"[static_cast<unsigned int>(phase)];
}

struct RingAndReader {
	xenstore_domain_interface page = {};
	StoreRing ring;
	MessageReader reader;
	bool was_full = false;

	void store_writes(const void *bytes, std::size_t size)
	{
		for (std::size_t i = 0; i < size; i++)
			page.rsp[MASK_XENSTORE_IDX(page.rsp_prod++)] = static_cast<const char *>(bytes)[i];
	}
	void store_says(std::uint32_t type, std::uint32_t id, std::uint32_t length, std::string_view payload)
	{
		xsd_sockmsg header = { type, id, 0, length };
		store_writes(&header, sizeof(header));
		store_writes(payload.data(), payload.size());
	}
};

} // namespace

/*
 * Case 21. The backend writes any state in any phase, removes its node, or
 * writes no state at all. A driver that knows only the pairs of a good backend
 * negotiates twice over rings in use, or reaches a BUG_ON. Each pair must have
 * the action and the next phase that the table above has.
 */
const char *xpv_xenbus_test_every_pair(void)
{
	for (unsigned int ours = 0; ours < phase_count; ours++) {
		for (unsigned int theirs = 0; theirs < node_state_count; theirs++) {
			Transition answer = transition(static_cast<Phase>(ours), static_cast<NodeState>(theirs));
			CHECK(letter(answer.action) == expected[ours][theirs][0]);
			CHECK(letter(answer.next) == expected[ours][theirs][1]);
		}
	}
	return nullptr;
}

/*
 * Case 23. The backend never answers in a handshake. A driver that waits
 * without a limit hangs a detach, an unbind or an unload. Each phase that waits
 * must have a limit and something to do after it, and closing must take less
 * than the 10 s that libxl waits.
 */
const char *xpv_xenbus_test_late(void)
{
	/* Whoever waits with a limit has something to do when it is over; nothing waits for ever to close. */
	for (unsigned int ours = 0; ours < phase_count; ours++) {
		Phase phase = static_cast<Phase>(ours);
		bool acts = late_transition(phase).action != Action::wait;
		CHECK(acts == (time_limit_ms(phase) != 0));
	}
	CHECK((late_transition(Phase::closing) == Transition{ Action::proceed, Phase::draining }));
	CHECK((late_transition(Phase::draining) == Transition{ Action::release, Phase::closed }));
	/* libxl waits 10 s for a device to be detached. */
	CHECK(time_limit_ms(Phase::closing) + time_limit_ms(Phase::draining) < 10000);
	return nullptr;
}

const char *xpv_xenbus_test_published(void)
{
	CHECK(published_state(Phase::initialising) == XenbusStateInitialising);
	CHECK(published_state(Phase::initialised) == XenbusStateInitialised);
	CHECK(published_state(Phase::connected) == XenbusStateConnected);
	CHECK(published_state(Phase::closing) == XenbusStateClosing);
	CHECK(published_state(Phase::draining) == XenbusStateClosed);
	CHECK(published_state(Phase::closed) == XenbusStateClosed);
	return nullptr;
}

const char *xpv_xenbus_test_first_phase(void)
{
	for (unsigned int theirs = 0; theirs < node_state_count; theirs++) {
		NodeState other = static_cast<NodeState>(theirs);
		/* A fresh device, whatever its backend does. */
		CHECK(first_phase(NodeState::missing, other) == Phase::initialising);
		CHECK(first_phase(NodeState::initialising, other) == Phase::initialising);
		CHECK(first_phase(NodeState::init_wait, other) == Phase::initialising);
		CHECK(first_phase(NodeState::nonsense, other) == Phase::initialising);
		/* Left in a connection. */
		CHECK(first_phase(NodeState::initialised, other) == Phase::closing);
		CHECK(first_phase(NodeState::connected, other) == Phase::closing);
		CHECK(first_phase(NodeState::closing, other) == Phase::closing);
	}
	/* Left closed: is there anything the backend may still hold? */
	CHECK(first_phase(NodeState::closed, NodeState::closed) == Phase::closed);
	CHECK(first_phase(NodeState::closed, NodeState::init_wait) == Phase::closed);
	CHECK(first_phase(NodeState::closed, NodeState::missing) == Phase::closed);
	CHECK(first_phase(NodeState::closed, NodeState::connected) == Phase::draining);
	CHECK(first_phase(NodeState::closed, NodeState::closing) == Phase::draining);
	return nullptr;
}

/*
 * Case 21. The node has a number out of range, a text, a trailing character, or
 * nothing. A parser that stops at the first other character, or overflows,
 * takes it for a state. It must be nonsense; only 0 (Unknown) counts as a
 * missing node.
 */
const char *xpv_xenbus_test_parse_state(void)
{
	CHECK(parse_state("0") == NodeState::missing);
	CHECK(parse_state("2") == NodeState::init_wait);
	CHECK(parse_state("4") == NodeState::connected);
	CHECK(parse_state("8") == NodeState::reconfigured);
	CHECK(parse_state("9") == NodeState::nonsense);
	CHECK(parse_state("9999") == NodeState::nonsense);
	CHECK(parse_state("99999999999999999999") == NodeState::nonsense);
	CHECK(parse_state("") == NodeState::nonsense);
	CHECK(parse_state("abc") == NodeState::nonsense);
	CHECK(parse_state("-1") == NodeState::nonsense);
	CHECK(parse_state("4 ") == NodeState::nonsense);
	CHECK(parse_state(std::string_view("4\0", 2)) == NodeState::nonsense);
	return nullptr;
}

const char *xpv_xenbus_test_ring(void)
{
	auto made = make<RingAndReader>(XPV_MAY_SLEEP);
	CHECK(made.ok());
	RingAndReader &it = *made.value();
	it.page.req_prod = it.page.req_cons = 0xfffffe00;
	it.page.rsp_prod = it.page.rsp_cons = 0xffffff00;
	CHECK(it.ring.attach(&it.page).ok());
	CHECK(it.ring.quiescent());

	char out[300];
	char in[300];
	for (unsigned int round = 0; round < 64; round++) {
		for (unsigned int i = 0; i < sizeof(out); i++)
			out[i] = static_cast<char>(i * 7 + round);
		CHECK(it.ring.write(out, sizeof(out)).value_or(0) == sizeof(out));
		for (unsigned int i = 0; i < sizeof(out); i++)
			CHECK(it.page.req[MASK_XENSTORE_IDX(it.page.req_cons++)] == out[i]);
		it.store_writes(out, sizeof(out));
		auto taken = it.ring.read(in, sizeof(in));
		CHECK(taken.ok() && taken.value().size == sizeof(in) && !taken.value().was_full);
		CHECK(__builtin_memcmp(in, out, sizeof(in)) == 0);
	}
	CHECK(it.ring.quiescent());
	return nullptr;
}

/*
 * Cases 28 to 30. xenstored's indices are further from ours than the ring is
 * long. A client that believes them overwrites requests that were not read, or
 * reads old bytes as replies. Each access must fail with EIO; a ring that is
 * just full is valid.
 */
const char *xpv_xenbus_test_ring_indices(void)
{
	auto made = make<RingAndReader>(XPV_MAY_SLEEP);
	CHECK(made.ok());
	RingAndReader &it = *made.value();
	char byte = 0;
	CHECK(it.ring.attach(&it.page).ok());
	it.page.req_cons = 1;
	CHECK(it.ring.write(&byte, 1).code() == -XEN_EIO);
	it.page.req_cons = 0x80000000;
	CHECK(it.ring.write(&byte, 1).code() == -XEN_EIO);
	it.page.rsp_prod = XENSTORE_RING_SIZE + 1;
	CHECK(it.ring.read(&byte, 1).code() == -XEN_EIO);
	it.page.rsp_prod = 0xffffffff;
	CHECK(it.ring.read(&byte, 1).code() == -XEN_EIO);
	it.page.rsp_prod = XENSTORE_RING_SIZE;
	auto taken = it.ring.read(&byte, 1);
	CHECK(taken.ok() && taken.value().was_full);
	return nullptr;
}

/*
 * Cases 28 to 30. A message comes in pieces, with a length that no message has,
 * or with an unknown type. A client that believes the length writes beyond its
 * buffer. It must wait for the rest of a valid message, and refuse and drop an
 * invalid header. An error without NUL, or of an unknown name, must be EIO.
 */
const char *xpv_xenbus_test_messages(void)
{
	auto made = make<RingAndReader>(XPV_MAY_SLEEP);
	CHECK(made.ok());
	RingAndReader &it = *made.value();
	CHECK(it.ring.attach(&it.page).ok());
	auto read = [&] { return it.reader.read(it.ring, it.was_full); };

	it.store_says(XS_READ, 7, 5, "hel");
	auto part = read();
	CHECK(part.ok() && !part.value() && !it.reader.at_boundary());
	it.store_writes("lo", 2);
	auto whole = read();
	CHECK(whole.ok() && whole.value() && it.reader.at_boundary());
	CHECK(it.reader.header().req_id == 7 && it.reader.payload() == "hello");

	it.store_says(XS_READ, 8, XENSTORE_PAYLOAD_MAX + 1, "");
	CHECK(read().code() == -XEN_EBADMSG);
	it.store_says(XS_READ, 8, 0xffffffff, "");
	CHECK(read().code() == -XEN_EBADMSG);
	it.store_says(XS_TYPE_COUNT, 8, 0, "");
	CHECK(read().code() == -XEN_EBADMSG);
	CHECK(it.reader.at_boundary());

	CHECK(store_error(std::string_view("EAGAIN", 7)) == XEN_EAGAIN);
	CHECK(store_error(std::string_view("EAGAIN", 6)) == XEN_EIO);
	CHECK(store_error(std::string_view("ESOMETHING", 11)) == XEN_EIO);
	return nullptr;
}

/*
 * Cases 28 to 30. A watch event has no token, no NUL at its end, or a third
 * string. A client that searches for two NULs reads beyond the message. Only an
 * event of two strings is valid.
 */
const char *xpv_xenbus_test_watch_events(void)
{
	auto good = parse_watch_event(std::string_view("device\0a1", 10));
	CHECK(good.ok() && good.value().path == "device" && good.value().token == "a1");
	CHECK(!parse_watch_event(std::string_view("", 0)).ok());
	CHECK(!parse_watch_event(std::string_view("device", 7)).ok());
	CHECK(!parse_watch_event(std::string_view("device\0a1", 9)).ok());
	CHECK(!parse_watch_event(std::string_view("device\0a1\0b", 12)).ok());
	return nullptr;
}
