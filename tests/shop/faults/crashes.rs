//! `kill -9` at random points, also while the program starts, and SIGTERM under load.

use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::harness::{Run, number, percentile, seed};
use crate::support::process::Shop;

const UPDATES_PER_SECOND: u64 = 20;
const CHATS: i64 = 100;

/// Kills the program `kills` times while `updates` updates come in, or until `minutes` are over.
async fn kill_again_and_again(kills: u64, updates: u64, minutes: u64) {
    let mut rng = StdRng::seed_from_u64(seed());
    let mut run = Run::new(30).await;
    // The first start of all makes the database and, on a new machine, trains the intent head.
    run.start().await.kill();
    let (mut killed, mut written, mut starts_ms) = (0, 0, Vec::new());
    let end = Instant::now() + Duration::from_mins(minutes);
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / UPDATES_PER_SECOND));
    while (killed < kills || written < updates) && Instant::now() < end {
        let shop = Shop::spawn(&run.config(), &[]);
        let started = Instant::now();
        let dies_at = started + Duration::from_millis(rng.random_range(0..1_600));
        let mut ready = false;
        while Instant::now() < dies_at || (killed >= kills && written < updates) {
            tokio::select! {
                _ = ticks.tick() => if written < updates {
                    written += 1;
                    run.write(super::harness::FIRST_CHAT + rng.random_range(0..CHATS));
                },
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
            if !ready && shop.is_ready() {
                ready = true;
                starts_ms.push(started.elapsed().as_millis());
            }
        }
        shop.kill();
        killed += 1;
    }
    let shop = run.start().await;
    run.settle().await;
    let account = run.finish(shop).await;
    starts_ms.sort_unstable();
    let [half, most, all] = [0.5, 0.99, 1.0].map(|share| percentile(&starts_ms, share));
    println!("{killed} kills, {account}");
    println!("ready again after: p50 {half} ms, p99 {most} ms, longest {all} ms ({} starts)", starts_ms.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_points_lose_and_double_nothing() {
    kill_again_and_again(6, 200, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes as long as its variables say: `cargo test --test shop many_kills -- --ignored --nocapture`"]
async fn many_kills_at_random_points_lose_and_double_nothing() {
    let kills = number("SHOPTALK_FAULT_KILLS", 1_000);
    let updates = number("SHOPTALK_FAULT_UPDATES", 100_000);
    kill_again_and_again(kills, updates, number("SHOPTALK_FAULT_MINUTES", 24 * 60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polite_end_under_load_is_quick_and_loses_nothing() {
    let mut run = Run::new(30).await;
    let shop = run.start().await;
    for _ in 0..10 {
        for chat in 0..40 {
            run.write(super::harness::FIRST_CHAT + chat);
        }
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let told = Instant::now();
    let (status, log) = shop.end_by("-TERM").await;
    println!("ended {} ms after SIGTERM", told.elapsed().as_millis());
    assert!(status.success(), "{log}");
    assert!(told.elapsed() < Duration::from_secs(10), "too slow");
    let shop = run.start().await;
    run.settle().await;
    println!("{}", run.finish(shop).await);
}
