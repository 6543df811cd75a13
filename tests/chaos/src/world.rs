//! What a round stands on: a folder, a broker in it, whoever loads it, and what can be done to it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use history::Event;
use peers::Process;
use runtime::Rng;

use crate::broker::Broker;
use crate::full::SmallDisk;
use crate::java_load::JavaLoad;
use crate::plan::{Flush, Nemesis, Plan};
use crate::power::Overlay;
use crate::proxy::Proxy;
use crate::recorder::Recorder;
use crate::rust_load::RustLoad;
use crate::target::Place;

/// Messages after which the load has found its speed.
const WARM_UP: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// Java's senders: many where a broker is killed, fewer where everything is kept in memory.
const JAVA_THREADS: u32 = 16;

/// Fields are dropped from the top: clients first, what they stand on last.
pub(crate) struct World {
    java: Option<JavaLoad>,
    rust: Option<RustLoad>,
    pub(crate) broker: Broker,
    _name_server: Option<Process>,
    pub(crate) proxy: Option<Proxy>,
    overlay: Option<Overlay>,
    small: Option<SmallDisk>,
    pub(crate) recorder: Recorder,
}

/// Where the data of a round lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    Plain,
    /// A small file system of its own.
    Small,
    /// A file system that forgets what was not flushed.
    Powered,
}

impl World {
    /// A broker that serves and is loaded.
    pub(crate) fn raise(
        plan: &Plan,
        ground: Ground,
        kinds: &[Nemesis],
        folder: &Path,
        recorder: Recorder,
        rng: &Rng,
    ) -> Result<World> {
        let mut place = Place {
            folder: folder.to_owned(),
            address: address(0),
            advertised: None,
            deletes: ground == Ground::Small,
        };
        std::fs::create_dir_all(place.data())?;
        let overlay = match ground {
            Ground::Powered => Some(Overlay::mount(&place.data())?),
            _ => None,
        };
        let small = match ground {
            Ground::Small => Some(SmallDisk::mount(folder, &place.data())?),
            _ => None,
        };
        let proxy = match kinds.contains(&Nemesis::Cut) {
            true => Some(Proxy::start(
                &format!("{}:10911", address(1)),
                &place.broker(),
            )?),
            false => None,
        };
        place.advertised = proxy.as_ref().map(|proxy| proxy.address().to_owned());
        let name_server = plan.target.name_server(&place)?;
        let mut world = World {
            java: None,
            rust: None,
            broker: Broker::new(plan.target.clone(), place, plan.flush),
            _name_server: name_server,
            proxy,
            overlay,
            small,
            recorder,
        };
        world.broker.start()?;
        world.broker.ready()?;
        world.load(plan, rng)?;
        Ok(world)
    }

    fn load(&mut self, plan: &Plan, rng: &Rng) -> Result<()> {
        let names = self.broker.place.name_server();
        if plan.clients.java() {
            self.java = Some(JavaLoad::start(&names, &self.recorder, JAVA_THREADS)?);
        }
        if plan.clients.rust() {
            // Asynchronous mode may lose with the power that one was delivered, and deliver it again.
            let forgets = self.overlay.is_some() && plan.flush == Flush::Async;
            let delayed = plan.target.is_ours() && !forgets;
            self.rust = Some(RustLoad::start(&names, &self.recorder, rng, delayed)?);
        }
        let java = |world: &World| world.java.as_ref().map_or(u64::MAX, JavaLoad::acknowledged);
        let warm = |world: &World| java(world) > WARM_UP;
        let found = self.recorder.wait_for(PATIENCE, |counts| {
            counts.acknowledged > WARM_UP && warm(self)
        });
        self.check()?;
        ensure!(found, "the load did not find its speed within {PATIENCE:?}");
        Ok(())
    }

    /// Fails if somebody who should be there has gone.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.java.as_mut().map_or(Ok(()), JavaLoad::check)
    }

    /// Everything has healed: ends the load, reads all, and stops the broker.
    pub(crate) fn end(&mut self) -> Result<usize> {
        if let Some(rust) = &mut self.rust {
            rust.stop()?;
        }
        if let Some(java) = &mut self.java {
            java.finish()?;
        }
        if let Some(rust) = &mut self.rust {
            rust.drain()?;
        }
        let segments = self.broker.segments().len();
        self.java = None;
        self.rust = None;
        self.broker.stop()?;
        Ok(segments)
    }

    /// The process dies, and with it everything that was not flushed.
    pub(crate) fn lose_power(&mut self, rng: &Rng) -> Result<()> {
        self.broker.kill()?;
        self.recorder.hold();
        let overlay = self.overlay.as_mut().context("the round can lose power")?;
        overlay.lose_power(rng)?;
        self.recorder.ended(Event::PowerLost);
        Ok(())
    }

    /// What survived of the data is written where somebody can look at it.
    pub(crate) fn keep(&mut self, to: &Path) {
        if let Some(overlay) = &self.overlay {
            overlay.write_out(to).ok();
        }
    }

    /// Leaves no room, and sees that sends are refused with the numbers while reads and
    /// acknowledgements of progress go on, until the oldest segment is deleted; then makes room.
    pub(crate) fn fill_up(&mut self, patience: Duration) -> Result<String> {
        let small = self.small.as_ref().context("the round can be full")?;
        let before = self.recorder.counts();
        small.fill()?;
        let refused = self
            .recorder
            .wait_for(patience, |counts| counts.no_room > before.no_room + 3);
        ensure!(refused, "no send was refused although there is no room");
        let remark = self.recorder.last_remark().unwrap_or_default();
        ensure!(
            remark.contains("bytes are free") && remark.contains("are needed"),
            "a refusal without the numbers: {remark}"
        );
        let full = self.recorder.counts();
        let goes_on = self
            .recorder
            .wait_for(patience, |counts| counts.committed > full.committed + 3);
        ensure!(
            goes_on,
            "progress is not kept although only sends need room"
        );
        let oldest = self.broker.segments().into_iter().next();
        let begun = Instant::now();
        while self.broker.segments().into_iter().next() == oldest {
            ensure!(
                begun.elapsed() < patience,
                "the disk is full, and the oldest segment does not go\n{}",
                self.broker.complaints().join("\n")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        small.free()?;
        Ok(format!(
            "full: {remark}; the oldest segment went after {:.1} s",
            begun.elapsed().as_secs_f64()
        ))
    }

    /// Tries a damaged copy of the data.
    pub(crate) fn try_damage(&self, rng: &Rng) -> Result<String> {
        crate::damage::try_damage(&self.broker, &self.recorder, address(2), rng)
    }
}

/// A loopback address that no other process uses; `number` tells those of one process apart.
fn address(number: u8) -> String {
    let id = std::process::id();
    let [_, high, middle, low] = id.to_be_bytes();
    format!("127.{}.{middle}.{low}", 64 + 32 * number + (high & 31))
}
