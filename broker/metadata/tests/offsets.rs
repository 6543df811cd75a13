//! Committed offsets beside a model: what is in memory, what is kept, and which resets wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use metadata::{Commit, Durability, MemoryTables, Metadata};
use model::{ConsumerGroup, LogOffset, QueueId, QueueOffset, Topic};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// A group and a queue, by number.
type Place = (u8, u32);

#[derive(Clone, Debug)]
enum Step {
    Commit(Place, u64),
    /// An epoch record that lies at the second number.
    Apply(Place, u64, u64),
    Reset(Place, u64),
    TakeReset(Place),
    RemoveGroup(u8),
    Flush {
        durable: bool,
    },
    /// The power fails.
    Crash,
}

/// The model: an offset, and where in the log it was set.
#[derive(Clone, Debug, Default)]
struct Model {
    offsets: BTreeMap<Place, (u64, u64)>,
    /// What the next start finds, and what it finds after a loss of power.
    kept: [BTreeMap<Place, (u64, u64)>; 2],
    resets: BTreeMap<Place, u64>,
    /// What the last step did.
    commit: Option<Commit>,
    taken: Option<u64>,
}

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::default()).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Step> {
        let place = || (0..2u8, 0..2u32);
        prop_oneof![
            4 => (place(), 0..9u64).prop_map(|(place, offset)| Step::Commit(place, offset)),
            4 => (place(), 0..9u64, 1..6u64)
                .prop_map(|(place, offset, from)| Step::Apply(place, offset, from)),
            2 => (place(), 0..9u64).prop_map(|(place, offset)| Step::Reset(place, offset)),
            2 => place().prop_map(Step::TakeReset),
            1 => (0..2u8).prop_map(Step::RemoveGroup),
            2 => any::<bool>().prop_map(|durable| Step::Flush { durable }),
            1 => Just(Step::Crash),
        ]
        .boxed()
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        (model.commit, model.taken) = (None, None);
        match step {
            Step::Commit(place, _) if model.resets.contains_key(place) => {
                model.commit = Some(Commit::ResetPending);
            }
            Step::Commit(place, offset) => {
                model.offsets.entry(*place).or_default().0 = *offset;
                model.commit = Some(Commit::Stored);
            }
            Step::Apply(place, offset, from) => {
                let known = model.offsets.entry(*place).or_default();
                let newer = *from > known.1;
                *known = if newer { (*offset, *from) } else { *known };
                model.commit = Some(if newer {
                    Commit::Stored
                } else {
                    Commit::Repeated
                });
            }
            Step::Reset(place, offset) => {
                model.offsets.insert(*place, (*offset, 0));
                model.resets.insert(*place, *offset);
            }
            Step::TakeReset(place) => model.taken = model.resets.remove(place),
            Step::RemoveGroup(group) => {
                // Durable at once, and with it what was written before.
                model.offsets.retain(|(own, _), _| own != group);
                model.kept[0].retain(|(own, _), _| own != group);
                model.kept[1] = model.kept[0].clone();
            }
            Step::Flush { durable } => {
                model.kept[0] = model.offsets.clone();
                if *durable {
                    model.kept[1] = model.offsets.clone();
                }
            }
            Step::Crash => {
                model.offsets = model.kept[1].clone();
                model.kept[0] = model.kept[1].clone();
                model.resets.clear();
            }
        }
        model
    }
}

struct Real {
    metadata: Metadata,
    tables: Arc<MemoryTables>,
}

fn group(number: u8) -> ConsumerGroup {
    ConsumerGroup::parse(&format!("g{number}")).expect("a group")
}

fn queue(number: u32) -> QueueId {
    QueueId::new(Topic::parse("t").expect("a topic"), number)
}

fn over(tables: &Arc<MemoryTables>) -> Metadata {
    Metadata::over(tables.clone()).expect("tables in memory")
}

impl StateMachineTest for Real {
    type SystemUnderTest = Real;
    type Reference = Model;

    fn init_test(_: &Model) -> Real {
        let tables = Arc::new(MemoryTables::default());
        let metadata = over(&tables);
        Real { metadata, tables }
    }

    fn apply(mut real: Real, model: &Model, step: Step) -> Real {
        let offsets = &real.metadata.offsets;
        match step {
            Step::Commit((name, number), offset) => {
                let done = offsets.commit(&group(name), &queue(number), QueueOffset(offset));
                assert_eq!(Some(done), model.commit);
            }
            Step::Apply((name, number), offset, from) => {
                let moved = [(queue(number), QueueOffset(offset))];
                let done = offsets.apply(&group(name), &moved, LogOffset(from));
                assert_eq!(Some(done), model.commit);
            }
            Step::Reset((name, number), offset) => {
                offsets.reset(&group(name), &queue(number), QueueOffset(offset));
            }
            Step::TakeReset((name, number)) => {
                let taken = offsets.take_reset(group(name).as_str(), &queue(number));
                assert_eq!(taken.map(|offset| offset.0), model.taken);
            }
            Step::RemoveGroup(name) => {
                let removed = offsets.remove_group(group(name).as_str());
                removed.expect("tables in memory");
            }
            Step::Flush { durable } => {
                let durability = if durable {
                    Durability::Now
                } else {
                    Durability::Later
                };
                real.metadata.flush(durability).expect("tables in memory");
            }
            Step::Crash => {
                real.tables.crash();
                real.metadata = over(&real.tables);
            }
        }
        real
    }

    fn check_invariants(real: &Real, model: &Model) {
        same(&real.metadata, &model.offsets);
        same(&over(&real.tables), &model.kept[0]);
    }
}

#[track_caller]
fn same(metadata: &Metadata, expected: &BTreeMap<Place, (u64, u64)>) {
    for name in 0..2 {
        let found = metadata.offsets.of_group(group(name).as_str());
        let of_group = expected.iter().filter(|((own, _), _)| *own == name);
        let expected: BTreeMap<_, _> = of_group
            .map(|((_, number), (offset, _))| (queue(*number), QueueOffset(*offset)))
            .collect();
        assert_eq!(found, expected, "group {name}");
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn offsets_move_and_stay_as_the_model_says(sequential 1..50 => Real);
}
