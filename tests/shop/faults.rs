//! What must never happen, looked for by breaking things: the real program against the fake Telegram, with faults drawn
//! from a seed. After every run each update that was acknowledged has ended answered, handed over or set aside; nothing
//! took effect twice; the order of each chat held; no reply reached another chat; the database is intact.
//!
//! The short runs are ordinary tests. The long ones are ignored:
//!
//! ```sh
//! SHOPTALK_FAULT_KILLS=1000 SHOPTALK_FAULT_UPDATES=100000 cargo test --test shop faults:: -- --ignored --nocapture --test-threads 1
//! ```
//!
//! `SHOPTALK_FAULT_SEED` repeats a run, `SHOPTALK_FAULT_MINUTES` ends the killing after that time.

mod burst;
mod clock;
mod crashes;
mod disk;
mod harness;
mod models;
mod network;
mod panics;
mod webhook;
