// SPDX-License-Identifier: GPL-2.0-only
/*
 * lib/shim.h over pthreads. Locks are what they are named; a spinlock is a
 * mutex, and irqs are never off. Work runs in a thread of its own for each
 * run, so that works overlap as they do in the kernel.
 */
#include "lib/shim.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <climits>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "tests/host/fake/shim.hh"

namespace {

using Clock = std::chrono::steady_clock;

std::atomic<std::size_t> allocations;
std::atomic<std::size_t> threads;
std::atomic<unsigned int> allocations_to_failure;

std::mutex log_mutex;
std::vector<std::string> log_lines;

[[noreturn]] void misuse(const char *what)
{
	std::fprintf(stderr, "shim: %s\n", what);
	std::abort();
}

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

pthread_mutex_t *pthread_of(xpv_mutex *mutex)
{
	static_assert(sizeof(pthread_mutex_t) <= sizeof(mutex->storage));
	return reinterpret_cast<pthread_mutex_t *>(mutex->storage);
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

void init_monotonic(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

timespec deadline_after(unsigned int milliseconds)
{
	timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += milliseconds / 1000;
	at.tv_nsec += static_cast<long>(milliseconds % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
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

struct Completion {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	unsigned int done;
};
static_assert(sizeof(Completion) <= sizeof(xpv_completion));

struct WaitQueue {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	unsigned int wakeups;
};
static_assert(sizeof(WaitQueue) <= sizeof(xpv_wait_queue));

Completion *completion_of(xpv_completion *completion)
{
	return reinterpret_cast<Completion *>(completion->storage);
}

WaitQueue *queue_of(xpv_wait_queue *queue)
{
	return reinterpret_cast<WaitQueue *>(queue->storage);
}

thread_local unsigned int spinlocks_held;
thread_local unsigned int raw_spinlocks_held;
thread_local bool in_noio_scope;

void must_be_able_to_sleep()
{
	if (spinlocks_held || raw_spinlocks_held)
		misuse("sleeping with a spinlock held");
}

/* On PREEMPT_RT the memory allocator and spinlocks sleep. */
void must_hold_no_raw_spinlock()
{
	if (raw_spinlocks_held)
		misuse("allocating memory or taking a spinlock with a raw spinlock held");
}

/* ---- Work ---- */

struct WorkState {
	bool pending = false;
	bool running = false;
	Clock::time_point due;
};

/* Works that are pending or running, and the thread that starts them. Never destroyed: works outlive main(). */
struct WorkQueue {
	std::mutex mutex;
	std::condition_variable changed;
	std::map<xpv_work *, WorkState> works;
	bool started = false;
};

WorkQueue &work_queue()
{
	static WorkQueue *queue = new WorkQueue;
	return *queue;
}

void run_work(xpv_work *work)
{
	work->function(work->context);
	WorkQueue &queue = work_queue();
	std::lock_guard guard(queue.mutex);
	auto found = queue.works.find(work);
	found->second.running = false;
	if (!found->second.pending)
		queue.works.erase(found);
	queue.changed.notify_all();
}

void dispatch_works()
{
	WorkQueue &queue = work_queue();
	std::unique_lock guard(queue.mutex);
	for (;;) {
		auto next = Clock::now() + std::chrono::hours(1);
		for (auto &[work, state] : queue.works) {
			if (!state.pending || state.running)
				continue;
			if (state.due > Clock::now()) {
				next = std::min(next, state.due);
				continue;
			}
			state.pending = false;
			state.running = true;
			std::thread(run_work, work).detach();
		}
		queue.changed.wait_until(guard, next);
	}
}

void schedule(xpv_work *work, unsigned int delay_ms, bool move)
{
	WorkQueue &queue = work_queue();
	std::lock_guard guard(queue.mutex);
	if (!queue.started) {
		queue.started = true;
		std::thread(dispatch_works).detach();
	}
	WorkState &state = queue.works[work];
	if (state.pending && !move)
		return;
	state.pending = true;
	state.due = Clock::now() + std::chrono::milliseconds(delay_ms);
	queue.changed.notify_all();
}

} // namespace

/* ---- For tests ---- */

namespace fake {

std::size_t live_allocations()
{
	return allocations;
}

std::size_t live_threads()
{
	return threads;
}

bool wait_for_work(unsigned int milliseconds)
{
	WorkQueue &queue = work_queue();
	std::unique_lock guard(queue.mutex);
	return queue.changed.wait_for(guard, std::chrono::milliseconds(milliseconds),
				      [&] { return queue.works.empty(); });
}

void fail_allocation(unsigned int n)
{
	allocations_to_failure = n;
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
	char line[1024];
	va_list arguments;
	va_start(arguments, format);
	std::vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (std::getenv("XPV_TEST_LOG"))
		std::fputs(line, stderr);
	std::lock_guard guard(log_mutex);
	log_lines.emplace_back(line);
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
	int length = std::vsnprintf(buffer, size, format, arguments);
	va_end(arguments);
	return length;
}

/* ---- Memory ---- */

void *xpv_alloc(size_t size, xpv_allocation how)
{
	must_hold_no_raw_spinlock();
	if (how == XPV_ATOMIC)
		return allocate(size, 16, most_contiguous);
	must_be_able_to_sleep();
	return allocate(size, 16, most_large);
}

void *xpv_alloc_large(size_t size)
{
	return xpv_alloc(size, XPV_MAY_SLEEP);
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

void xpv_mutex_init(xpv_mutex *mutex, const char *, xpv_lock_class *)
{
	init_checked(pthread_of(mutex));
}

void xpv_mutex_lock(xpv_mutex *mutex)
{
	must_be_able_to_sleep();
	if (pthread_mutex_lock(pthread_of(mutex)))
		misuse("mutex taken twice");
}

void xpv_mutex_unlock(xpv_mutex *mutex)
{
	if (pthread_mutex_unlock(pthread_of(mutex)))
		misuse("mutex was not held");
}

/* ---- Waiting ---- */

void xpv_completion_init(xpv_completion *completion)
{
	Completion *own = completion_of(completion);
	pthread_mutex_init(&own->mutex, nullptr);
	init_monotonic(&own->condition);
	own->done = 0;
}

static void complete(xpv_completion *completion, unsigned int done)
{
	Completion *own = completion_of(completion);
	pthread_mutex_lock(&own->mutex);
	own->done = done == UINT32_MAX || own->done == UINT32_MAX ? UINT32_MAX : own->done + done;
	pthread_cond_broadcast(&own->condition);
	pthread_mutex_unlock(&own->mutex);
}

void xpv_complete(xpv_completion *completion)
{
	complete(completion, 1);
}

void xpv_complete_all(xpv_completion *completion)
{
	complete(completion, UINT32_MAX);
}

bool xpv_wait_for_completion(xpv_completion *completion, unsigned int milliseconds)
{
	must_be_able_to_sleep();
	Completion *own = completion_of(completion);
	timespec deadline = deadline_after(milliseconds);
	pthread_mutex_lock(&own->mutex);
	while (own->done == 0)
		if (pthread_cond_timedwait(&own->condition, &own->mutex, &deadline) == ETIMEDOUT)
			break;
	bool done = own->done != 0;
	if (done && own->done != UINT32_MAX)
		own->done--;
	pthread_mutex_unlock(&own->mutex);
	return done;
}

void xpv_wait_queue_init(xpv_wait_queue *queue, const char *, xpv_lock_class *)
{
	WaitQueue *own = queue_of(queue);
	pthread_mutex_init(&own->mutex, nullptr);
	init_monotonic(&own->condition);
	own->wakeups = 0;
}

void xpv_wake_up_all(xpv_wait_queue *queue)
{
	WaitQueue *own = queue_of(queue);
	pthread_mutex_lock(&own->mutex);
	own->wakeups++;
	pthread_cond_broadcast(&own->condition);
	pthread_mutex_unlock(&own->mutex);
}

bool xpv_wait_event(xpv_wait_queue *queue, bool (*condition)(xpv_wait_context *), xpv_wait_context *context,
		    unsigned int milliseconds)
{
	must_be_able_to_sleep();
	WaitQueue *own = queue_of(queue);
	timespec deadline = deadline_after(milliseconds);
	for (;;) {
		pthread_mutex_lock(&own->mutex);
		unsigned int seen = own->wakeups;
		pthread_mutex_unlock(&own->mutex);
		if (condition(context))
			return true;
		pthread_mutex_lock(&own->mutex);
		int error = 0;
		while (own->wakeups == seen && error != ETIMEDOUT)
			error = pthread_cond_timedwait(&own->condition, &own->mutex, &deadline);
		pthread_mutex_unlock(&own->mutex);
		if (error == ETIMEDOUT)
			return condition(context);
	}
}

void xpv_sleep_ms(unsigned int milliseconds)
{
	must_be_able_to_sleep();
	std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

uint64_t xpv_now_ms(void)
{
	return static_cast<uint64_t>(
		std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count());
}

/* ---- Deferred work ---- */

void xpv_work_init(xpv_work *work, xpv_work_queue queue, void (*function)(xpv_work_context *), xpv_work_context *context,
		   const char *, xpv_lock_class *)
{
	work->queue = queue;
	work->function = function;
	work->context = context;
}

void xpv_work_schedule(xpv_work *work, unsigned int delay_ms)
{
	schedule(work, delay_ms, false);
}

void xpv_work_reschedule(xpv_work *work, unsigned int delay_ms)
{
	schedule(work, delay_ms, true);
}

void xpv_work_cancel(xpv_work *work)
{
	must_be_able_to_sleep();
	WorkQueue &queue = work_queue();
	std::unique_lock guard(queue.mutex);
	for (;;) {
		auto found = queue.works.find(work);
		if (found == queue.works.end())
			return;
		found->second.pending = false;
		if (!found->second.running) {
			queue.works.erase(found);
			queue.changed.notify_all();
			return;
		}
		queue.changed.wait(guard);
	}
}

/* ---- Threads ---- */

struct xpv_thread {
	std::atomic<bool> should_stop = false;
	std::thread thread;
};

static thread_local xpv_thread *this_thread;

xpv_thread *xpv_thread_run(void (*function)(xpv_thread_context *), xpv_thread_context *context, const char *)
{
	must_be_able_to_sleep();
	auto *made = new (std::nothrow) xpv_thread;
	if (!made)
		return nullptr;
	threads++;
	made->thread = std::thread([=] {
		this_thread = made;
		function(context);
	});
	return made;
}

bool xpv_thread_should_stop(void)
{
	return this_thread && this_thread->should_stop;
}

void xpv_thread_stop(xpv_thread *thread)
{
	must_be_able_to_sleep();
	thread->should_stop = true;
	thread->thread.join();
	threads--;
	delete thread;
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
