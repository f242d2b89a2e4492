// SPDX-License-Identifier: GPL-2.0-only
/* Read Xen's wall clock and system time under their versions, and step Linux's clock if it is 100 ms or more off. */
#include "suspend/wallclock.hh"

#include "hypervisor/hypervisor_owned.h"
#include "lib/log.hh"
#include "lib/ordering.hh"
#include "suspend/linux.h"

namespace xpv {

namespace {

/* In ns. Reading the clocks takes some time, and smaller differences are left to NTP. */
constexpr int64_t tolerance = 100 * 1000 * 1000;
constexpr int64_t second = 1000 * 1000 * 1000;
/* Xen's update takes microseconds; one that never ends is a fault. */
constexpr unsigned int attempts = 1000;

inline uint64_t read_tsc()
{
	uint32_t low, high;
	asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return static_cast<uint64_t>(high) << 32 | low;
}

/* Copy what Xen updates under a version that is odd meanwhile. Return false if the version is never stable, or 0. */
template <typename T, typename Read>
[[nodiscard]] bool read_stable(const uint32_t &version, T &copy, const Read &read)
{
	for (unsigned int i = 0; i < attempts; i++) {
		uint32_t before = load_acquire(version);
		copy = read();
		virt_rmb();
		if (!(before & 1) && read_once(version) == before)
			return before != 0;
	}
	return false;
}

struct SystemTime {
	uint64_t tsc, nanoseconds;
	uint32_t multiplier;
	int shift;
};

/* Return nanoseconds since Xen's boot. */
uint64_t now(const SystemTime &time)
{
	uint64_t tsc = read_tsc();
	uint64_t delta = tsc > time.tsc ? tsc - time.tsc : 0;
	delta = time.shift < 0 ? delta >> -time.shift : delta << time.shift;
	return time.nanoseconds + static_cast<uint64_t>((static_cast<unsigned __int128>(delta) * time.multiplier) >> 32);
}

} // namespace

Result<int64_t> xen_wall_clock()
{
	const ::shared_info *shared = xpv_shared_info();
	const vcpu_info *vcpu = xpv_vcpu_info(0);
	if (!shared || !vcpu)
		return Error(XEN_ENODATA);
	int64_t boot;
	if (!read_stable(shared->wc_version, boot, [&] {
		    return static_cast<int64_t>(static_cast<uint64_t>(read_once(shared->wc_sec_hi)) << 32 |
						read_once(shared->wc_sec)) *
				   second +
			   read_once(shared->wc_nsec);
	    }))
		return Error(XEN_ENODATA);
	SystemTime time;
	if (!read_stable(vcpu->time.version, time,
			 [&] {
				 return SystemTime{
					 read_once(vcpu->time.tsc_timestamp), read_once(vcpu->time.system_time),
					 read_once(vcpu->time.tsc_to_system_mul), read_once(vcpu->time.tsc_shift)
				 };
			 }) ||
	    time.shift < -63 || time.shift > 63)
		return Error(XEN_ENODATA);
	return boot + static_cast<int64_t>(now(time));
}

WallClock::WallClock()
{
	Result<int64_t> xen = xen_wall_clock();
	known_ = xen.ok();
	if (known_)
		ahead_ = xpv_realtime() - xen.value();
}

int64_t WallClock::catch_up()
{
	Result<int64_t> xen = xen_wall_clock();
	if (!known_ || !xen.ok())
		return 0;
	int64_t wanted = xen.value() + ahead_;
	int64_t step = wanted - xpv_realtime();
	if (step > -tolerance && step < tolerance)
		return 0;
	if (int error = xpv_realtime_set(wanted)) {
		XPV_WARNING("time of day: cannot step it by %lld ms (%pe)",
			    static_cast<long long>(step / (second / 1000)), err_ptr(error));
		return 0;
	}
	XPV_INFO("time of day: stepped by %lld ms", static_cast<long long>(step / (second / 1000)));
	return step;
}

} // namespace xpv
