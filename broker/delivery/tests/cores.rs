//! Held requests and queue locks beside models of them.

#[path = "cores/queue_locks.rs"]
mod queue_locks;
#[path = "cores/waiting.rs"]
mod waiting;
