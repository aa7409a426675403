//! Threads that share one operation. They spin for a moment between operations, because a model runs hundreds of
//! them a token and waking a sleeping thread takes longer than many of them do; then they sleep until the next one.

use std::{
    hint,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// Turns of the waiting loop before a thread sleeps: about 0.1 ms.
const SPINS_BEFORE_SLEEP: usize = 5_000;
/// Turns before the thread that waits for others lets the system run something else.
const SPINS_BEFORE_YIELD: usize = 500;

/// A fixed number of threads. One operation at a time uses them; an operation that finds them busy runs on its own
/// thread alone.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    turn: Mutex<()>,
    threads: usize,
}

#[derive(Debug, Default)]
struct Shared {
    slot: Mutex<Slot>,
    wake: Condvar,
    /// Changes with every operation; what spinning threads look at.
    epoch: AtomicUsize,
    /// The next part of the operation that nobody has begun.
    next: AtomicUsize,
    /// Threads that are inside the operation.
    active: AtomicUsize,
    has_panicked: AtomicBool,
}

#[derive(Debug, Default)]
struct Slot {
    job: Option<Job>,
    sleeping: usize,
    is_closing: bool,
}

/// The operation under way.
#[derive(Debug, Clone, Copy)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    parts: usize,
}

// SAFETY: the function behind the pointer is `Sync`, and `Pool::run` keeps it alive until no thread uses it.
unsafe impl Send for Job {}

impl Pool {
    /// A pool of `threads` threads, one of which is the caller's.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let mut running = 1;
        for index in 1..threads {
            let shared = Arc::clone(&shared);
            let builder = thread::Builder::new().name(format!("kernels-{index}"));
            // A system that gives no more threads gets a slower pool.
            running += usize::from(builder.spawn(move || shared.serve()).is_ok());
        }
        Self { shared, turn: Mutex::new(()), threads: running }
    }

    /// Number of threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work` once with each number below `parts`, in any order and on any of the threads.
    ///
    /// # Panics
    /// When `work` does.
    pub fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        let turn = match self.turn.try_lock() {
            _ if self.threads == 1 || parts < 2 => None,
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let Some(_turn) = turn else {
            (0..parts).for_each(work);
            return;
        };
        // SAFETY: only the lifetime changes. `operation` waits, also when `work` panics here, until no thread holds
        // the pointer and none can get it any more, before the borrow of `work` ends.
        let work: *const (dyn Fn(usize) + Sync) =
            unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) };
        let job = Job { work, parts };
        let operation = Operation::begin(&self.shared, job);
        self.shared.work(job);
        drop(operation);
        assert!(!self.shared.has_panicked.swap(false, Ordering::AcqRel), "a thread of the pool panicked");
    }

    /// Calls `work` once with each item.
    pub fn for_each<T: Send>(&self, items: impl Iterator<Item = T>, work: impl Fn(T) + Sync) {
        let items: Vec<Mutex<Option<T>>> = items.map(|item| Mutex::new(Some(item))).collect();
        self.run(items.len(), &|index| {
            let item = items[index].lock().unwrap_or_else(PoisonError::into_inner).take();
            // Every part runs once, so that its item is there.
            if let Some(item) = item {
                work(item);
            }
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.slot().is_closing = true;
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        self.shared.wake.notify_all();
    }
}

/// While it lives, threads may join; its end waits for those that did.
struct Operation<'a>(&'a Shared);

impl<'a> Operation<'a> {
    fn begin(shared: &'a Shared, job: Job) -> Self {
        let mut slot = shared.slot();
        shared.next.store(0, Ordering::Relaxed);
        shared.has_panicked.store(false, Ordering::Relaxed);
        slot.job = Some(job);
        shared.epoch.fetch_add(1, Ordering::AcqRel);
        if slot.sleeping > 0 {
            shared.wake.notify_all();
        }
        Self(shared)
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        // Nobody can join from here on.
        self.0.slot().job = None;
        let mut spins = 0;
        while self.0.active.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS_BEFORE_YIELD { hint::spin_loop() } else { thread::yield_now() }
        }
    }
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, job: Job) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= job.parts {
                return;
            }
            // SAFETY: the operation waits for this thread before the function behind the pointer goes.
            unsafe { (*job.work)(part) };
        }
    }

    fn serve(&self) {
        let mut seen = 0;
        loop {
            self.wait(seen);
            seen = self.epoch.load(Ordering::Acquire);
            let job = {
                let slot = self.slot();
                if slot.is_closing {
                    return;
                }
                let Some(job) = slot.job else { continue };
                self.active.fetch_add(1, Ordering::AcqRel);
                job
            };
            if catch_unwind(AssertUnwindSafe(|| self.work(job))).is_err() {
                self.has_panicked.store(true, Ordering::Release);
            }
            self.active.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Until there is another operation than `seen`.
    fn wait(&self, seen: usize) {
        for _ in 0..SPINS_BEFORE_SLEEP {
            if self.epoch.load(Ordering::Acquire) != seen {
                return;
            }
            hint::spin_loop();
        }
        let mut slot = self.slot();
        slot.sleeping += 1;
        while self.epoch.load(Ordering::Acquire) == seen {
            slot = self.wake.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
        slot.sleeping -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_runs_once() {
        let pool = Pool::new(3);
        for parts in [0, 1, 2, 7, 1000] {
            let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            for round in 1..20 {
                pool.run(parts, &|part| {
                    counts[part].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == round));
            }
        }
    }

    #[test]
    fn a_busy_pool_lets_others_work_alone() {
        let pool = Pool::new(2);
        let inner = AtomicUsize::new(0);
        pool.run(4, &|_| {
            pool.run(4, &|_| {
                inner.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(inner.into_inner(), 16);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(2);
        let result = catch_unwind(AssertUnwindSafe(|| pool.run(8, &|part| assert!(part != 5, "part five"))));
        assert!(result.is_err());
        let sum = AtomicUsize::new(0);
        pool.run(4, &|part| {
            sum.fetch_add(part, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 6);
    }
}
