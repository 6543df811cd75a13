//! Makes things go wrong, and waits until the broker has come through.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use history::Event;
use runtime::Rng;

use crate::plan::Nemesis;
use crate::world::World;

/// Milliseconds between two blows.
const LIFE: std::ops::Range<u64> = 50..1_500;
/// Milliseconds from a start to the kill that may meet it.
const STARTING: std::ops::Range<u64> = 0..250;
/// How long a broker may take to acknowledge anything before the run has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Strikes, and counts what it did.
pub(crate) struct Striker {
    rng: Rng,
    kinds: Vec<Nemesis>,
    /// Milliseconds until the next blow.
    life: u64,
    /// Whether to strike only once the broker serves.
    served: bool,
    pub(crate) blows: Vec<(&'static str, u64)>,
    /// Milliseconds from each start to the first acknowledgement.
    pub(crate) waits: Vec<i64>,
    pub(crate) notes: Vec<String>,
}

impl Striker {
    pub(crate) fn new(rng: Rng, kinds: &[Nemesis]) -> Striker {
        Striker {
            life: rng.range(LIFE),
            rng,
            kinds: kinds.to_vec(),
            served: true,
            blows: Vec::new(),
            waits: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// One blow. After the last one the broker serves.
    pub(crate) fn strike(&mut self, world: &mut World, last: bool) -> Result<()> {
        let kind = self.kinds[self.rng.range(0..self.kinds.len() as u64) as usize];
        // A broker that is still starting can only die.
        let kind = match (self.served, kind) {
            (false, Nemesis::Power) => Nemesis::Power,
            (false, _) => Nemesis::Kill,
            (true, kind) => kind,
        };
        let name = kind.name();
        match kind {
            Nemesis::Kill => self.kill(world, last)?,
            Nemesis::Power => {
                self.wait(world)?;
                world.lose_power(&self.rng)?;
                self.start(world, last)?;
            }
            Nemesis::Stop => self.stop(world)?,
            Nemesis::Cut => self.cut(world)?,
            Nemesis::Full => self.fill(world)?,
            Nemesis::Damage => self.damage(world)?,
        }
        match self.blows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.blows.push((name, 1)),
        }
        let violations = world.recorder.violations();
        match &violations[..] {
            [] => Ok(()),
            [first, others @ ..] => bail!("{first}; and {} others", others.len()),
        }
    }

    fn wait(&self, world: &World) -> Result<()> {
        // The change of segments is rare and delicate: some blows wait for it.
        if self.served && self.rng.chance(0.3) {
            let before = world.broker.segments();
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(4 * self.life)
                && world.broker.segments() == before
            {
                std::thread::sleep(Duration::from_micros(300));
            }
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(self.life));
        Ok(())
    }

    fn kill(&mut self, world: &mut World, last: bool) -> Result<()> {
        self.wait(world)?;
        world.kill()?;
        self.start(world, last)
    }

    /// Starts the broker again. Unless it is the last time, recovery itself may be struck.
    fn start(&mut self, world: &mut World, last: bool) -> Result<()> {
        let started = world.recorder.wall();
        world.recorder.watch(started);
        world.start()?;
        if !last && self.rng.chance(0.2) {
            self.life = self.rng.range(STARTING);
            self.served = false;
            return Ok(());
        }
        world.broker.ready()?;
        self.waits.push(self.first(world)? - started);
        self.life = self.rng.range(LIFE);
        self.served = true;
        Ok(())
    }

    fn first(&self, world: &mut World) -> Result<i64> {
        let first = world.recorder.first_acknowledgement(PATIENCE);
        world.check()?;
        first.with_context(|| {
            let complaints = world.broker.complaints().join("\n");
            format!("liveness: nothing was acknowledged within {PATIENCE:?}\n{complaints}")
        })
    }

    /// After trouble that the broker lived through: it has to acknowledge again.
    fn recovered(&mut self, world: &mut World) -> Result<()> {
        world.recorder.watch(world.recorder.wall());
        self.first(world)?;
        self.life = self.rng.range(LIFE);
        Ok(())
    }

    fn stop(&mut self, world: &mut World) -> Result<()> {
        self.wait(world)?;
        world.recorder.hold();
        world.broker.pause()?;
        std::thread::sleep(Duration::from_millis(self.rng.range(1..4_000)));
        world.broker.resume()?;
        world.recorder.go_on();
        self.recovered(world)
    }

    fn cut(&mut self, world: &mut World) -> Result<()> {
        self.wait(world)?;
        let proxy = world.proxy.as_ref().context("the round has a proxy")?;
        let time = Duration::from_millis(self.rng.range(1..3_000));
        match self.rng.range(0..3) {
            0 => proxy.cut(),
            1 => {
                proxy.stall(true);
                std::thread::sleep(time);
                if self.rng.chance(0.5) {
                    proxy.cut();
                }
                proxy.stall(false);
            }
            _ => proxy.close_half(self.rng.chance(0.5)),
        }
        self.recovered(world)
    }

    fn fill(&mut self, world: &mut World) -> Result<()> {
        self.wait(world)?;
        let note = world.fill_up(PATIENCE)?;
        self.notes.push(note);
        self.recovered(world)
    }

    /// Stops the broker, well or not, and tries what it would make of damage, on a copy.
    fn damage(&mut self, world: &mut World) -> Result<()> {
        self.wait(world)?;
        if self.rng.chance(0.5) {
            world.kill()?;
        } else {
            world.stop()?;
        }
        let note = world.try_damage(&self.rng)?;
        self.notes.push(note);
        self.start(world, true)
    }
}

impl World {
    pub(crate) fn start(&mut self) -> Result<()> {
        self.broker.start()?;
        self.recorder.go_on();
        Ok(())
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.broker.kill()?;
        self.recorder.hold();
        self.recorder.ended(Event::Killed);
        Ok(())
    }

    pub(crate) fn stop(&mut self) -> Result<()> {
        self.broker.stop()?;
        self.recorder.hold();
        self.recorder.ended(Event::Stopped);
        Ok(())
    }
}
