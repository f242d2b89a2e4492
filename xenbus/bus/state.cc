// SPDX-License-Identifier: GPL-2.0-only
/* The table, with the reason for each entry; each phase's time limit and published state; the parser of state nodes. */
#include "xenbus/bus/state.hh"

#include "lib/result.hh"
#include "xenbus/store/text.hh"

namespace xpv {

namespace {

using enum Action;
using P = Phase;

constexpr Transition stay(Action action, Phase phase)
{
	return { action, phase };
}

/* Columns in the order of NodeState. */
constexpr Transition table[phase_count][node_state_count] = {
	/* ---- Phase::initialising ---- */
	{
		/* missing: the toolstack has not finished, or the backend domain has not started yet */
		stay(wait, P::initialising),
		/* Initialising */
		stay(wait, P::initialising),
		/* InitWait: the backend waits for our details */
		{ negotiate, P::initialised },
		/* Initialised: some backends publish their half without waiting for ours */
		{ negotiate, P::initialised },
		/* Connected: to an earlier frontend; that connection must end first */
		{ restart, P::closing },
		/* Closing: detached before it was attached; the backend waits for our Closed */
		{ close, P::draining },
		/* Closed: will switch to InitWait if it saw our Initialising; else about to be removed */
		stay(wait, P::initialising),
		/* Reconfiguring, Reconfigured: valid only while connected */
		stay(ignore, P::initialising),
		stay(ignore, P::initialising),
		/* nonsense */
		stay(ignore, P::initialising),
	},
	/* ---- Phase::initialised ---- */
	{
		/* missing: on a detach the toolstack removes our node too */
		stay(wait, P::initialised),
		/* Initialising: a backend that restarts will switch to InitWait */
		stay(wait, P::initialised),
		/* InitWait: it has not read our details yet */
		stay(wait, P::initialised),
		/* Initialised: it has read our details, and is still connecting */
		stay(wait, P::initialised),
		/* Connected */
		{ connect, P::connected },
		/* Closing, Closed: it could not connect, or the toolstack detaches the device */
		{ close, P::draining },
		{ close, P::draining },
		/* Reconfiguring, Reconfigured: valid only while connected */
		stay(ignore, P::initialised),
		stay(ignore, P::initialised),
		/* nonsense */
		stay(ignore, P::initialised),
	},
	/* ---- Phase::connected ---- */
	{
		/* missing: the data path may still work; on a detach the toolstack removes our node too */
		stay(ignore, P::connected),
		/* Initialising: a backend that restarts will switch to InitWait */
		stay(wait, P::connected),
		/* InitWait: it has restarted, and does not know our ring */
		{ restart, P::draining },
		/* Initialised: no backend steps back like this */
		stay(ignore, P::connected),
		/* Connected: written again, so something in its directory changed (a resized disk) */
		stay(recheck, P::connected),
		/* Closing: detached */
		{ close, P::draining },
		/* Closed: detached, or its driver was removed */
		{ close, P::draining },
		/* Reconfiguring, Reconfigured: no frontend here supports it */
		stay(ignore, P::connected),
		stay(ignore, P::connected),
		/* nonsense */
		stay(ignore, P::connected),
	},
	/* ---- Phase::closing ---- */
	{
		/* missing: there is no backend to wait for */
		{ proceed, P::draining },
		/* Initialising, InitWait: not connected, so it has nothing to close */
		{ proceed, P::draining },
		{ proceed, P::draining },
		/* Initialised, Connected: has not seen our Closing yet */
		stay(wait, P::closing),
		stay(wait, P::closing),
		/* Closing, Closed: has seen our Closing */
		{ proceed, P::draining },
		{ proceed, P::draining },
		/* Reconfiguring, Reconfigured: busy */
		stay(wait, P::closing),
		stay(wait, P::closing),
		/* nonsense: a valid state may still follow */
		stay(wait, P::closing),
	},
	/* ---- Phase::draining ---- */
	{
		/* missing: there is no well-behaved backend left that could map anything */
		{ release, P::closed },
		/* Initialising: has just started, maps nothing */
		{ release, P::closed },
		/* InitWait: has not seen our Closed yet; if we continued now, we would take its Closed for a detach */
		stay(wait, P::draining),
		/* Initialised, Connected, Closing: still unmapping, or has not seen our Closed */
		stay(wait, P::draining),
		stay(wait, P::draining),
		stay(wait, P::draining),
		/* Closed: has unmapped everything */
		{ release, P::closed },
		/* Reconfiguring, Reconfigured */
		stay(wait, P::draining),
		stay(wait, P::draining),
		/* nonsense */
		stay(wait, P::draining),
	},
	/* ---- Phase::closed ---- */
	{
		/* missing: a new backend starts with Initialising */
		{ reopen_if_wanted, P::initialising },
		/* Initialising: starting; will switch to InitWait when ready */
		{ reopen_if_wanted, P::initialising },
		/* InitWait: waits for a frontend */
		{ reopen, P::initialising },
		/* Initialised, Connected: not to us; for a restart publish Initialising */
		{ reopen_if_wanted, P::initialising },
		{ reopen_if_wanted, P::initialising },
		/* Closing: will switch to Closed, some only when we write Closed once more */
		stay(confirm, P::closed),
		/* Closed: switches to InitWait when it sees our Initialising */
		{ reopen_if_wanted, P::initialising },
		/* Reconfiguring, Reconfigured */
		stay(ignore, P::closed),
		stay(ignore, P::closed),
		/* nonsense */
		stay(ignore, P::closed),
	},
};

struct PhaseFacts {
	xenbus_state published;
	unsigned int time_limit_ms;
	Transition late;
};

constexpr PhaseFacts facts[phase_count] = {
	{ XenbusStateInitialising, 10000, stay(complain, P::initialising) },
	{ XenbusStateInitialised, 10000, stay(complain, P::initialised) },
	{ XenbusStateConnected, 0, stay(wait, P::connected) },
	/* Together well below the 10 s for which libxl waits for a detach. */
	{ XenbusStateClosing, 3000, { proceed, P::draining } },
	{ XenbusStateClosed, 5000, { release, P::closed } },
	{ XenbusStateClosed, 0, stay(wait, P::closed) },
};

constexpr const char *names[node_state_count] = {
	"Unknown", "Initialising", "InitWait",	    "Initialised",  "Connected",
	"Closing", "Closed",	   "Reconfiguring", "Reconfigured", "nonsense",
};

static_assert(static_cast<unsigned int>(NodeState::initialising) == XenbusStateInitialising);
static_assert(static_cast<unsigned int>(NodeState::init_wait) == XenbusStateInitWait);
static_assert(static_cast<unsigned int>(NodeState::initialised) == XenbusStateInitialised);
static_assert(static_cast<unsigned int>(NodeState::connected) == XenbusStateConnected);
static_assert(static_cast<unsigned int>(NodeState::closing) == XenbusStateClosing);
static_assert(static_cast<unsigned int>(NodeState::closed) == XenbusStateClosed);
static_assert(static_cast<unsigned int>(NodeState::reconfigured) == XenbusStateReconfigured);

constexpr unsigned int index(Phase phase)
{
	return static_cast<unsigned int>(phase);
}

} // namespace

bool possible(Phase phase, Aim aim, Held held)
{
	bool connects = aim == Aim::connect;
	switch (phase) {
	case Phase::initialising:
		return connects && !held.connection;
	case Phase::initialised:
		return connects && held.connection;
	case Phase::connected:
		return connects && held.connection && held.device;
	case Phase::closing:
	case Phase::draining:
		return !connects;
	case Phase::closed:
		return !connects && !held.connection && (!held.device || aim == Aim::restart);
	}
	return false;
}

Transition transition(Phase ours, NodeState backend)
{
	return table[index(ours)][static_cast<unsigned int>(backend)];
}

Transition late_transition(Phase ours)
{
	return facts[index(ours)].late;
}

unsigned int time_limit_ms(Phase ours)
{
	return facts[index(ours)].time_limit_ms;
}

xenbus_state published_state(Phase ours)
{
	return facts[index(ours)].published;
}

NodeState parse_state(std::string_view text)
{
	auto number = parse_decimal(text, XenbusStateReconfigured);
	return number.ok() ? static_cast<NodeState>(number.value()) : NodeState::nonsense;
}

NodeState parse_read_state(int read, const char *value)
{
	if (read >= 0)
		return parse_state({ value, static_cast<size_t>(read) });
	return read == -XEN_EMSGSIZE ? NodeState::nonsense : NodeState::missing;
}

const char *state_name(NodeState state)
{
	return names[static_cast<unsigned int>(state)];
}

Phase first_phase(NodeState own, NodeState backend)
{
	switch (own) {
	case NodeState::initialised:
	case NodeState::connected:
	case NodeState::closing:
	case NodeState::reconfiguring:
	case NodeState::reconfigured:
		return Phase::closing;
	case NodeState::closed:
		switch (backend) {
		case NodeState::initialised:
		case NodeState::connected:
		case NodeState::closing:
		case NodeState::reconfiguring:
		case NodeState::reconfigured:
			return Phase::draining;
		case NodeState::missing:
		case NodeState::initialising:
		case NodeState::init_wait:
		case NodeState::closed:
		case NodeState::nonsense:
			return Phase::closed;
		}
		break;
	case NodeState::missing:
	case NodeState::initialising:
	case NodeState::init_wait:
	case NodeState::nonsense:
		break;
	}
	return Phase::initialising;
}

} // namespace xpv
