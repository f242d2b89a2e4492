// SPDX-License-Identifier: GPL-2.0-only
/*
 * lib/shim.h over pthreads: log, memory, spinlocks, CPUs. A spinlock is a
 * mutex, and irqs are never off.
 */
#include "lib/shim.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "tests/host/fake/shim.hh"
#include "tests/host/fake/shim_context.hh"

namespace fake {

thread_local unsigned int spinlocks_held;
thread_local unsigned int raw_spinlocks_held;

void misuse(const char *what)
{
	std::fprintf(stderr, "shim: %s\n", what);
	std::abort();
}

void must_be_able_to_sleep()
{
	if (spinlocks_held || raw_spinlocks_held)
		misuse("sleeping with a spinlock held");
}

/*
 * The C library prints "%pe" as the address and an "e". An errno as a pointer is
 * one of the last 4095 addresses; like the kernel, print its name, or else its
 * number.
 */
std::string format_text(const char *format, va_list arguments)
{
	char plain[8192];
	std::vsnprintf(plain, sizeof(plain), format, arguments);
	std::string text = plain;
	constexpr std::string_view last_addresses = "0xfffffffffffff";
	constexpr std::size_t length = std::string_view("0xfffffffffffff000e").size();
	for (std::size_t at = 0; (at = text.find(last_addresses, at)) != std::string::npos; at++) {
		if (at + length > text.size() || text[at + length - 1] != 'e')
			continue;
		unsigned long address = std::strtoul(text.substr(at, length - 1).c_str(), nullptr, 16);
		int error = static_cast<int>(-address);
		const char *name = error ? strerrorname_np(error) : nullptr;
		text.replace(at, length, "-" + (name ? name : std::to_string(error)));
	}
	return text;
}

} // namespace fake

namespace {

using namespace fake;

std::atomic<std::size_t> allocations;
std::atomic<unsigned int> allocations_to_failure;
std::atomic<bool> io_is_forbidden;
std::atomic<std::size_t> waits_for_io;

std::mutex log_mutex;
std::vector<std::string> log_lines;

/* What kmalloc() gives at most; and kvmalloc(). */
constexpr std::size_t most_contiguous = 4 << 20;
constexpr std::size_t most_large = INT_MAX;

bool may_allocate(std::size_t size, std::size_t most)
{
	unsigned int left = allocations_to_failure.load();
	while (left && !allocations_to_failure.compare_exchange_weak(left, left - 1)) {
	}
	return left != 1 && size <= most;
}

void *allocate(std::size_t size, std::size_t alignment, std::size_t most)
{
	if (!may_allocate(size, most))
		return nullptr;
	void *memory = nullptr;
	std::size_t rounded = (size + alignment - 1) / alignment * alignment;
	if (posix_memalign(&memory, alignment, rounded ? rounded : alignment))
		return nullptr;
	std::memset(memory, 0, rounded);
	allocations++;
	return memory;
}

pthread_mutex_t *pthread_of(xpv_spinlock *lock)
{
	static_assert(sizeof(pthread_mutex_t) <= sizeof(lock->storage));
	return reinterpret_cast<pthread_mutex_t *>(lock->storage);
}

pthread_mutex_t *pthread_of(xpv_raw_spinlock *lock)
{
	static_assert(sizeof(pthread_mutex_t) <= sizeof(lock->storage));
	return reinterpret_cast<pthread_mutex_t *>(lock->storage);
}

/* A lock taken twice by one thread, or given back by another, is a failure, not a hang. */
void init_checked(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

/* Every thread is a CPU of its own, so that what is one CPU's needs no lock here either. */
constexpr unsigned int cpu_limit = 64;
std::atomic<std::uint64_t> cpus_taken;

struct OwnCpu {
	unsigned int number;

	OwnCpu()
	{
		std::uint64_t taken = cpus_taken.load();
		do {
			if (taken == ~std::uint64_t{ 0 })
				misuse("more threads than CPUs");
			number = static_cast<unsigned int>(std::countr_one(taken));
		} while (!cpus_taken.compare_exchange_weak(taken, taken | std::uint64_t{ 1 } << number));
	}
	~OwnCpu() { cpus_taken &= ~(std::uint64_t{ 1 } << number); }
};
thread_local OwnCpu own_cpu;

thread_local bool in_noio_scope;

void may_wait_for_io(xpv_allocation how)
{
	if (how == XPV_MAY_SLEEP && !in_noio_scope && io_is_forbidden)
		waits_for_io++;
}

/* On PREEMPT_RT the memory allocator and spinlocks sleep. */
void must_hold_no_raw_spinlock()
{
	if (raw_spinlocks_held)
		misuse("allocating memory or taking a spinlock with a raw spinlock held");
}

} // namespace

/* ---- For tests ---- */

namespace fake {

std::size_t live_allocations()
{
	return allocations;
}

void fail_allocation(unsigned int n)
{
	allocations_to_failure = n;
}

void forbid_io(bool forbid)
{
	if (forbid)
		waits_for_io = 0;
	io_is_forbidden = forbid;
}

std::size_t io_waits()
{
	return waits_for_io;
}

bool noio_scope()
{
	return in_noio_scope;
}

std::vector<std::string> take_log()
{
	std::lock_guard guard(log_mutex);
	return std::exchange(log_lines, {});
}

} // namespace fake

/* ---- Log ---- */

void xpv_log(xpv_log_level, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	std::string line = format_text(format, arguments);
	va_end(arguments);
	if (std::getenv("XPV_TEST_LOG"))
		std::fputs(line.c_str(), stderr);
	std::lock_guard guard(log_mutex);
	log_lines.push_back(std::move(line));
}

bool xpv_log_permitted(xpv_log_limit *limit)
{
	std::lock_guard guard(log_mutex);
	std::uint64_t now = xpv_now_ms();
	if (now - limit->window_start_ms >= 10000) {
		limit->window_start_ms = now;
		limit->in_window = 0;
	}
	if (limit->in_window >= 5) {
		limit->suppressed++;
		return false;
	}
	limit->in_window++;
	return true;
}

int xpv_format(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	std::string text = format_text(format, arguments);
	va_end(arguments);
	std::snprintf(buffer, size, "%s", text.c_str());
	return static_cast<int>(text.size());
}

/* ---- Memory ---- */

void *xpv_alloc(size_t size, xpv_allocation how)
{
	must_hold_no_raw_spinlock();
	if (how == XPV_ATOMIC)
		return allocate(size, 16, most_contiguous);
	must_be_able_to_sleep();
	may_wait_for_io(how);
	return allocate(size, 16, most_large);
}

void xpv_free(void *memory)
{
	if (!memory)
		return;
	must_hold_no_raw_spinlock();
	allocations--;
	std::free(memory);
}

void *xpv_pages_alloc(unsigned int order, xpv_allocation how)
{
	must_hold_no_raw_spinlock();
	if (how != XPV_ATOMIC)
		must_be_able_to_sleep();
	may_wait_for_io(how);
	/* Frame numbers are addresses, and must be as small as a guest's: a grant has 32 bits for them. */
	std::size_t size = std::size_t{ 4096 } << order;
	if (!may_allocate(size, most_contiguous))
		return nullptr;
	void *pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (pages == MAP_FAILED)
		return nullptr;
	allocations++;
	return pages;
}

void xpv_pages_free(void *pages, unsigned int order)
{
	if (!pages)
		return;
	must_hold_no_raw_spinlock();
	allocations--;
	munmap(pages, std::size_t{ 4096 } << order);
}

xpv_gfn xpv_pages_gfn(const void *pages)
{
	return xpv_gfn{ reinterpret_cast<std::uintptr_t>(pages) >> 12 };
}

xpv_pfn xpv_pages_pfn(const void *pages)
{
	return xpv_pfn{ reinterpret_cast<std::uintptr_t>(pages) >> 12 };
}

unsigned int xpv_noio_begin(void)
{
	must_be_able_to_sleep();
	return std::exchange(in_noio_scope, true);
}

void xpv_noio_end(unsigned int before)
{
	in_noio_scope = before;
}

/* ---- Locks ---- */

void xpv_spinlock_init(xpv_spinlock *lock, const char *, xpv_lock_class *)
{
	init_checked(pthread_of(lock));
}

unsigned long xpv_spinlock_lock_irqsave(xpv_spinlock *lock)
{
	must_hold_no_raw_spinlock();
	if (pthread_mutex_lock(pthread_of(lock)))
		misuse("spinlock taken twice");
	spinlocks_held++;
	return 0;
}

void xpv_spinlock_unlock_irqrestore(xpv_spinlock *lock, unsigned long)
{
	spinlocks_held--;
	if (pthread_mutex_unlock(pthread_of(lock)))
		misuse("spinlock was not held");
}

void xpv_raw_spinlock_init(xpv_raw_spinlock *lock, const char *, xpv_lock_class *)
{
	init_checked(pthread_of(lock));
}

unsigned long xpv_raw_spinlock_lock_irqsave(xpv_raw_spinlock *lock)
{
	if (pthread_mutex_lock(pthread_of(lock)))
		misuse("raw spinlock taken twice");
	raw_spinlocks_held++;
	return 0;
}

void xpv_raw_spinlock_unlock_irqrestore(xpv_raw_spinlock *lock, unsigned long)
{
	raw_spinlocks_held--;
	if (pthread_mutex_unlock(pthread_of(lock)))
		misuse("raw spinlock was not held");
}

/* ---- CPUs ---- */

unsigned int xpv_cpu_this(void)
{
	return own_cpu.number;
}

unsigned int xpv_cpu_limit(void)
{
	return cpu_limit;
}

unsigned long xpv_irqs_off(void)
{
	return 0;
}

void xpv_irqs_restore(unsigned long)
{
}
