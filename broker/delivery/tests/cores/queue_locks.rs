//! Who owns an ordered queue: a list of owners and when they last asked.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::QueueLocks;
use model::{ConsumerGroup, QueueId, Topic};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use runtime::SimClock;

#[derive(Clone, Debug)]
enum Step {
    Lock(u8, Vec<u32>),
    Unlock(u8, Vec<u32>),
    Wait(u64),
    Forget,
}

/// The model: the owner of each queue, and the second in which it last asked.
#[derive(Clone, Debug, Default)]
struct Model {
    now: u64,
    owners: BTreeMap<u32, (u8, u64)>,
    /// What the last step's client got of what it asked for.
    got: Vec<u32>,
}

const LIFE: u64 = 60;

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::default()).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Step> {
        let queues = || prop::collection::vec(0..3u32, 1..4);
        prop_oneof![
            4 => (0..3u8, queues()).prop_map(|(client, queues)| Step::Lock(client, queues)),
            2 => (0..3u8, queues()).prop_map(|(client, queues)| Step::Unlock(client, queues)),
            3 => prop_oneof![1..LIFE, Just(LIFE), Just(LIFE + 1)].prop_map(Step::Wait),
            1 => Just(Step::Forget),
        ]
        .boxed()
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        let Model { now, owners, got } = &mut model;
        got.clear();
        match step {
            Step::Lock(client, queues) => {
                for queue in queues {
                    let (owner, asked) = *owners.get(queue).unwrap_or(&(*client, *now));
                    if owner == *client || *now - asked > LIFE {
                        owners.insert(*queue, (*client, *now));
                        got.push(*queue);
                    }
                }
            }
            Step::Unlock(client, queues) => {
                owners.retain(|queue, (owner, _)| owner != client || !queues.contains(queue));
            }
            Step::Wait(seconds) => *now += seconds,
            Step::Forget => owners.clear(),
        }
        model
    }
}

struct Real {
    clock: SimClock,
    locks: QueueLocks,
    group: ConsumerGroup,
}

fn queues(numbers: &[u32]) -> Vec<QueueId> {
    let topic = Topic::parse("t").expect("a topic");
    let numbers = numbers.iter();
    numbers
        .map(|number| QueueId::new(topic.clone(), *number))
        .collect()
}

impl StateMachineTest for Real {
    type SystemUnderTest = Real;
    type Reference = Model;

    fn init_test(_: &Model) -> Real {
        let clock = SimClock::new(0);
        let locks = QueueLocks::new(clock.clock());
        let group = ConsumerGroup::parse("g").expect("a group");
        Real {
            clock,
            locks,
            group,
        }
    }

    fn apply(real: Real, model: &Model, step: Step) -> Real {
        match step {
            Step::Lock(client, wanted) => {
                let client = client.to_string();
                let got = real.locks.lock(&real.group, &client, &queues(&wanted));
                assert_eq!(got, queues(&model.got));
            }
            Step::Unlock(client, given) => {
                let group = real.group.as_str();
                real.locks
                    .unlock(group, &client.to_string(), &queues(&given));
            }
            Step::Wait(seconds) => real.clock.advance(Duration::from_secs(seconds)),
            Step::Forget => real.locks.forget(real.group.as_str()),
        }
        real
    }

    fn check_invariants(real: &Real, model: &Model) {
        let mut owners = model.owners.values();
        let ordered = owners.any(|(_, asked)| model.now - asked <= LIFE);
        assert_eq!(real.locks.is_ordered(real.group.as_str()), ordered);
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_queue_has_one_owner_until_it_gives_back_or_falls_silent(sequential 1..50 => Real);
}
