//! Plays transcripts against servers of our own, and says what is different.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use protocol::{ExtFields, Frame, RequestCode};

use crate::background::Background;
use crate::compare::{Closeness, Moved, differences};
use crate::deviations::DEVIATIONS;
use crate::transcript::{self, Line, Peer, What};
use crate::world::{Connection, World};

/// One transcript and when it began, in milliseconds since 1970.
pub struct Scenario {
    pub name: &'static str,
    pub start: i64,
    pub closeness: Closeness,
}

impl Scenario {
    pub fn new((name, start): (&'static str, i64), closeness: Closeness) -> Scenario {
        Scenario {
            name,
            start,
            closeness,
        }
    }
}

/// Topics that stood before the first recording, with two queues each.
const TOPICS: [&str; 17] = [
    "WireSend",
    "WireBatch",
    "WireTag",
    "WireSql",
    "WireBroadcast",
    "WireLite",
    "WireTx",
    "WireDelay",
    "WireRetry",
    "WireRequest",
    "WirePop",
    "WireBinary",
    "Wire493",
    "WireGo",
    "WirePython",
    "WireTrace",
    "WireAdmin",
];
const ORDERED_TOPICS: [&str; 2] = ["WireOrder", "WireGoOrder"];

/// Plays the scenarios one after another against one broker. Fails on every difference that is
/// not a known deviation, and on every known deviation of these scenarios that did not show.
pub async fn play(scenarios: &[Scenario]) {
    let first = scenarios.first().expect("there is a scenario").start;
    let world = World::open(first - 60_000).await;
    for topic in TOPICS {
        world.topic(topic, 2, &[]).await;
    }
    for topic in ORDERED_TOPICS {
        world.topic(topic, 2, &[("message.type", "FIFO")]).await;
    }
    // Clients may write traces; nobody makes this topic by sending to it.
    world.topic("RMQ_SYS_TRACE_TOPIC", 1, &[]).await;
    for topic in ["AdminOrderTopic", "TRANS_CHECK_MAX_TIME_TOPIC"] {
        world.topic(topic, 2, &[]).await;
    }
    world.register().await;
    let mut moved = Moved::new();
    let background = Background::start(&world).await;
    moved.insert(background.recorded, background.first);
    let mut unknown = Vec::new();
    let mut shown = vec![false; DEVIATIONS.len()];
    let mut compared = 0;
    for scenario in scenarios {
        let wait = scenario.start - world.clock.wall();
        world
            .clock
            .run(Duration::from_millis(wait.max(0) as u64))
            .await;
        let mut player = Player::new(&world, scenario, &mut moved);
        for line in transcript::read(scenario.name) {
            player.line(line).await;
        }
        compared += player.compared;
        for (request, difference) in player.found {
            let known = DEVIATIONS
                .iter()
                .position(|deviation| deviation.matches(scenario.name, request, &difference));
            match known {
                Some(place) => shown[place] = true,
                None => unknown.push(format!("{}, code {request}: {difference}", scenario.name)),
            }
        }
    }
    for (deviation, shown) in DEVIATIONS.iter().zip(shown) {
        let concerned = scenarios
            .iter()
            .any(|scenario| deviation.concerns(scenario.name));
        if concerned && !shown {
            unknown.push(format!("a known deviation did not show: {deviation:?}"));
        }
    }
    assert!(
        unknown.is_empty(),
        "{compared} answers compared, {} differ:\n{}",
        unknown.len(),
        unknown.join("\n")
    );
    println!("{compared} answers compared; on purpose different:");
    for deviation in DEVIATIONS {
        println!(
            "{} {:?}: {}",
            deviation.scenario, deviation.requests, deviation.why
        );
    }
}

struct Player<'a> {
    world: &'a World,
    scenario: &'a Scenario,
    moved: &'a mut Moved,
    connections: BTreeMap<u64, Connection>,
    /// Requests by connection and number, and the server's own by connection and code.
    asked: HashMap<(u64, i32), Frame>,
    server_asked: HashMap<(u64, i32), Frame>,
    elapsed: u64,
    compared: usize,
    found: Vec<(i32, String)>,
}

impl<'a> Player<'a> {
    fn new(world: &'a World, scenario: &'a Scenario, moved: &'a mut Moved) -> Player<'a> {
        Player {
            world,
            scenario,
            moved,
            connections: BTreeMap::new(),
            asked: HashMap::new(),
            server_asked: HashMap::new(),
            elapsed: 0,
            compared: 0,
            found: Vec::new(),
        }
    }

    async fn line(&mut self, line: Line) {
        let passed = line.at.saturating_sub(self.elapsed);
        self.world.clock.run(Duration::from_millis(passed)).await;
        self.elapsed = line.at;
        match line.what {
            What::Open => drop(self.connection(line.connection, line.peer).await),
            What::Close => drop(self.connections.remove(&line.connection)),
            What::FromClient(frame) => self.client_says(line.connection, line.peer, frame).await,
            What::FromServer { frame, answers } => match answers {
                Some(code) => self.answered(line.connection, line.peer, code, frame).await,
                None => self.server_asks(line.connection, line.peer, frame).await,
            },
        }
    }

    async fn connection(&mut self, number: u64, peer: Peer) -> &mut Connection {
        if !self.connections.contains_key(&number) {
            let connection = self.world.connect(peer).await;
            self.connections.insert(number, connection);
        }
        self.connections
            .get_mut(&number)
            .expect("it was just inserted")
    }

    async fn client_says(&mut self, number: u64, peer: Peer, mut frame: Frame) {
        if frame.header.flag.is_response() {
            // The server's question carries its own number here.
            let asked = self.server_asked.remove(&(number, frame.header.opaque));
            let Some(asked) = asked else { return };
            frame.header.opaque = asked.header.opaque;
        } else {
            self.translate(&mut frame);
            self.asked
                .insert((number, frame.header.opaque), frame.clone());
        }
        self.connection(number, peer).await.send(&frame).await;
    }

    /// Log offsets that the client learned there are others here.
    fn translate(&self, frame: &mut Frame) {
        let by_log_offset = [
            RequestCode::CONSUMER_SEND_MSG_BACK,
            RequestCode::VIEW_MESSAGE_BY_ID,
        ];
        if !by_log_offset.contains(&RequestCode(frame.header.code)) {
            return;
        }
        let mut ext = ExtFields::new();
        for (name, value) in frame.header.ext.iter() {
            let here = match name {
                "offset" => value
                    .parse()
                    .ok()
                    .and_then(|at| self.moved.get(&model::LogOffset(at)))
                    .map(|at| at.0.to_string()),
                _ => None,
            };
            ext.push(name, here.as_deref().unwrap_or(value));
        }
        frame.header.ext = ext;
    }

    async fn answered(&mut self, number: u64, peer: Peer, code: i32, there: Frame) {
        let opaque = there.header.opaque;
        let here = self.connection(number, peer).await.answer(opaque).await;
        self.asked.remove(&(number, opaque));
        self.compared += 1;
        let Some(here) = here else {
            self.found.push((code, "no answer".to_owned()));
            return;
        };
        let found = differences(code, &there, &here, self.scenario.closeness, self.moved);
        self.found
            .extend(found.into_iter().map(|difference| (code, difference)));
    }

    async fn server_asks(&mut self, number: u64, peer: Peer, there: Frame) {
        let code = there.header.code;
        let here = self.connection(number, peer).await.request(code).await;
        self.compared += 1;
        match here {
            Some(here) => drop(
                self.server_asked
                    .insert((number, there.header.opaque), here),
            ),
            None => self
                .found
                .push((code, "the broker does not say this".to_owned())),
        }
    }
}
