//! Makes things go wrong.

use std::time::Duration;

use runtime::{DiskFailure, Faults, Operation, Rng};
use store::Flush;

use crate::plan::Swarm;
use crate::world::{BROKER, BROKER_HOST, Host, NAMES_HOST, World};

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Stop,
    Kill,
    LosePower,
    FailStarts,
    Cut,
    Hold,
    Refuse,
    RestartNames,
    JumpWall,
    SpoilDisk,
    FailFlush,
}

pub(crate) struct Nemesis {
    rng: Rng,
    blows: Vec<Blow>,
    flush: Flush,
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

impl Nemesis {
    pub(crate) fn new(rng: Rng, swarm: &Swarm, flush: Flush) -> Nemesis {
        let all = [
            (swarm.stops, Blow::Stop),
            (swarm.kills, Blow::Kill),
            (swarm.power, Blow::LosePower),
            (swarm.recoveries, Blow::FailStarts),
            (swarm.cuts, Blow::Cut),
            (swarm.holds, Blow::Hold),
            (swarm.refusals, Blow::Refuse),
            (swarm.names, Blow::RestartNames),
            (swarm.wall, Blow::JumpWall),
            (swarm.disk, Blow::SpoilDisk),
            // What a failed flush drops was acknowledged in the weak mode: that is its weakness.
            (swarm.flushes && flush == Flush::Sync, Blow::FailFlush),
        ];
        let blows = all.into_iter().filter_map(|(on, blow)| on.then_some(blow));
        Nemesis {
            rng,
            blows: blows.collect(),
            flush,
        }
    }

    /// Strikes once, and mends what would stay broken.
    pub(crate) async fn strike(&self, world: &mut World, hosts: &[Host]) {
        if self.blows.is_empty() {
            return;
        }
        let blow = self.blows[self.rng.range(0..self.blows.len() as u64) as usize];
        match blow {
            Blow::Stop => {
                world.stop_broker().await;
                self.start_again(world).await;
            }
            Blow::Kill => {
                world.kill_broker().await;
                self.start_again(world).await;
            }
            Blow::LosePower => {
                world.lose_power().await;
                self.start_again(world).await;
            }
            Blow::FailStarts => {
                world.lose_power().await;
                for _ in 0..self.rng.range(1..4) {
                    world.fail_a_start().await;
                }
                self.start_again(world).await;
            }
            Blow::Cut => drop(world.net.cut(BROKER)),
            Blow::Hold => self.hold(world, hosts).await,
            Blow::Refuse => {
                world.net.refuse(BROKER, true);
                world.net.cut(BROKER);
                world.clock.run(ms(self.rng.range(1..2_000))).await;
                world.net.refuse(BROKER, false);
            }
            Blow::RestartNames => {
                world.kill_names().await;
                world.clock.run(ms(self.rng.range(0..3_000))).await;
                world.start_names().await;
            }
            Blow::JumpWall => {
                let hour = 3_600_000;
                let jump = self.rng.range(0..2 * hour) as i64 - hour as i64;
                world.clock.jump_wall(jump);
            }
            Blow::SpoilDisk => self.spoil(world).await,
            Blow::FailFlush => {
                world.disk.fail_next(Operation::Sync, DiskFailure::Io);
                world.clock.run(ms(self.rng.range(1..1_500))).await;
                world.lose_power().await;
                self.start_again(world).await;
            }
        }
    }

    async fn start_again(&self, world: &mut World) {
        if self.rng.chance(0.5) {
            world.clock.run(ms(self.rng.range(0..2_000))).await;
        }
        world.start_broker().await;
    }

    /// Nothing arrives between the broker and a client, or the name server, for a while.
    async fn hold(&self, world: &World, hosts: &[Host]) {
        let chosen = self.rng.range(0..hosts.len() as u64 + 1) as usize;
        let other = hosts.get(chosen).map_or(NAMES_HOST, |host| host.address);
        world.net.hold(BROKER_HOST, other, true);
        world.clock.run(ms(self.rng.range(1..8_000))).await;
        if self.rng.chance(0.3) {
            world.net.cut_between(BROKER_HOST, other);
        }
        world.net.hold(BROKER_HOST, other, false);
    }

    /// The disk fails now and then, and the broker with it, until it is replaced.
    async fn spoil(&self, world: &mut World) {
        let mut faults = Faults {
            cold_bit_flip: 0.0,
            ..Faults::swarm(&self.rng)
        };
        if self.flush == Flush::Async {
            faults.sync_error = 0.0;
        }
        world.disk.arm(faults);
        world.clock.run(ms(self.rng.range(1..3_000))).await;
        if self.rng.chance(0.5) {
            world.kill_broker().await;
        } else {
            world.lose_power().await;
        }
        world.disk.disarm();
        self.start_again(world).await;
    }
}
