/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which lock guards what, for clang's thread safety analysis
 * (https://clang.llvm.org/docs/ThreadSafetyAnalysis.html). The host build runs
 * the analysis over all modules (tests/host/CMakeLists.txt). The macros expand
 * to nothing for gcc, which builds the modules.
 */
#pragma once

#if defined(__clang__)
#define XPV_THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define XPV_THREAD_SAFETY(attribute)
#endif

/* A class that is a lock; `kind` is its name in warnings. */
#define XPV_CAPABILITY(kind) XPV_THREAD_SAFETY(capability(kind))
/* A class that holds a lock for as long as its object lives. */
#define XPV_SCOPED_CAPABILITY XPV_THREAD_SAFETY(scoped_lockable)

/* A member that is read and written with `lock` held. */
#define XPV_GUARDED_BY(lock) XPV_THREAD_SAFETY(guarded_by(lock))
/* A pointer whose target is read and written with `lock` held. */
#define XPV_PT_GUARDED_BY(lock) XPV_THREAD_SAFETY(pt_guarded_by(lock))

/* A function that is called with the locks held. */
#define XPV_REQUIRES(...) XPV_THREAD_SAFETY(requires_capability(__VA_ARGS__))
/* A function that takes the locks itself, and is called without them. */
#define XPV_EXCLUDES(...) XPV_THREAD_SAFETY(locks_excluded(__VA_ARGS__))
/* A function that takes the locks and returns with them held. */
#define XPV_ACQUIRE(...) XPV_THREAD_SAFETY(acquire_capability(__VA_ARGS__))
/* A function that is called with the locks held and releases them. */
#define XPV_RELEASE(...) XPV_THREAD_SAFETY(release_capability(__VA_ARGS__))
/* A function that returns only if the locks are held. */
#define XPV_ASSERT_HELD(...) XPV_THREAD_SAFETY(assert_capability(__VA_ARGS__))
/* A function that returns a reference to the lock. */
#define XPV_RETURN_CAPABILITY(lock) XPV_THREAD_SAFETY(lock_returned(lock))

/* A function that the analysis cannot follow; write why beside it. */
#define XPV_NO_THREAD_SAFETY_ANALYSIS XPV_THREAD_SAFETY(no_thread_safety_analysis)
