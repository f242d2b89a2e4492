/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The handshake of a frontend as a table: for each pair of where we are and
 * what the other end's state node says, what to do. No code here, so that
 * the answers can be read, and tested, one by one.
 */
#pragma once

#include <string_view>

#include <xen/io/xenbus.h>

namespace xpv {

/*
 * Where we are. Finer than the state we publish: Closed has two halves, for
 * the driver keeps its ring and grants until the other end has let go.
 */
enum class Phase : unsigned char {
	initialising, /* nothing is shared yet */
	initialised, /* our details are published */
	connected,
	closing, /* the end was announced; waiting for the other end to notice */
	draining, /* Closed was announced; waiting for the other end to unmap */
	closed, /* nothing is shared any more */
};
inline constexpr unsigned int phase_count = 6;

/* What the other end's state node says. */
enum class Theirs : unsigned char {
	missing, /* no node, not ours to read, or 0 (Unknown) */
	initialising,
	init_wait,
	initialised,
	connected,
	closing,
	closed,
	reconfiguring,
	reconfigured,
	nonsense, /* anything else */
};
inline constexpr unsigned int theirs_count = 10;

/* What the toolstack says of the backend's directory. Not every backend has the node. */
enum class Online : unsigned char {
	unsaid,
	yes,
	no, /* the device is to go */
};

/* Where the device is to go. */
enum class Aim : unsigned char {
	connect, /* be connected, and stay so */
	restart, /* end this connection and make another; the device stays, if there is one */
	detach, /* end device and connection; begin again when the backend asks for a frontend */
	end, /* end device and connection, and stay Closed until a driver is bound again */
};

/* What the driver has: see xenbus.h. */
struct Held {
	bool connection;
	bool device;
};

/*
 * Whether these go together:
 *
 *   phase         aim                       connection   device
 *   initialising  connect                   no           any
 *   initialised   connect                   yes          any
 *   connected     connect                   yes          yes
 *   closing       restart, detach, end      any          any
 *   draining      restart, detach, end      any          any
 *   closed        restart                   no           any
 *   closed        detach, end               no           no
 */
[[nodiscard]] bool possible(Phase phase, Aim aim, Held held);

enum class Action : unsigned char {
	wait, /* the other end has the next move */
	ignore, /* means nothing here */
	negotiate, /* driver: negotiate(); then `next` */
	connect, /* driver: connect(); then `next` */
	recheck, /* driver: backend_changed() */
	close, /* the other end closes: `next`, with an orderly end of the device before, unless it outlives this */
	restart, /* `next`; open again once closed */
	proceed, /* `next` */
	release, /* driver: disconnect(), if that is due; then `next` */
	reopen, /* `next`, if the device may be used */
	reopen_if_wanted, /* `next`, if a restart was under way */
	complain, /* log that the other end takes long, and wait on */
};

struct Transition {
	Action action;
	Phase next;

	friend constexpr bool operator==(Transition, Transition) = default;
};

/* The answer for a pair. */
[[nodiscard]] Transition transition(Phase ours, Theirs theirs);
/* The answer when the other end did not move within time_limit_ms(ours). */
[[nodiscard]] Transition late_transition(Phase ours);
/* How long to wait for the other end in a phase; 0: for ever, without a word. */
[[nodiscard]] unsigned int time_limit_ms(Phase ours);
/* What our state node says in a phase. */
[[nodiscard]] xenbus_state published_state(Phase ours);
/* What the text of a state node means. */
[[nodiscard]] Theirs parse_state(std::string_view text);
/* For log lines and sysfs, e.g. "InitWait". */
[[nodiscard]] const char *state_name(Theirs theirs);

/*
 * Where to start when our own node says `own`: an earlier load, or another
 * kernel, may have left the device anywhere. Everything but a fresh node
 * goes through a close that the other end can follow.
 */
[[nodiscard]] Phase first_phase(Theirs own, Theirs theirs);

} // namespace xpv
