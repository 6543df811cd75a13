//! Locks of loom or shuttle in the shape of `parking_lot`'s.

use std::ops::{Deref, DerefMut};

#[cfg(scheduler = "loom")]
use loom::sync as given;
#[cfg(scheduler = "loom")]
pub(crate) use loom::sync::atomic;
#[cfg(scheduler = "shuttle")]
use shuttle::sync as given;
#[cfg(scheduler = "shuttle")]
pub(crate) use shuttle::sync::atomic;

const POISONED: &str = "nobody panics while it holds a lock";

#[derive(Default)]
pub(crate) struct Mutex<T>(given::Mutex<T>);

/// Empty only while its owner waits for a condition.
pub(crate) struct MutexGuard<'a, T>(Option<given::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(given::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().expect(POISONED)))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("its owner does not wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("its owner does not wait")
    }
}

pub(crate) struct Condvar(given::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(given::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect("its owner does not wait yet");
        guard.0 = Some(self.0.wait(held).expect(POISONED));
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[derive(Default)]
pub(crate) struct RwLock<T>(given::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(given::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> given::RwLockReadGuard<'_, T> {
        self.0.read().expect(POISONED)
    }

    pub(crate) fn write(&self) -> given::RwLockWriteGuard<'_, T> {
        self.0.write().expect(POISONED)
    }
}

/// Tries every order of steps in which no more than three times somebody is stopped who could
/// go on; `LOOM_MAX_PREEMPTIONS` tries more.
#[cfg(scheduler = "loom")]
pub(crate) fn explore(run: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(3));
    model.check(run);
}
