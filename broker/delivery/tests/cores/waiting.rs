//! Who is woken by an arrival: a list of who waits for what.

use delivery::{Interest, LongPolls, Waiting};
use futures::FutureExt;
use model::{ConsumerGroup, QueueId, Topic};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

#[derive(Clone, Debug)]
enum Step {
    /// Without codes for every message.
    Wait(u32, Vec<i64>),
    Arrived(u32, i64),
    WakeAll(u32),
    /// The request at this share of the list gives up, woken or not.
    GiveUp(u8),
}

/// The model: the queue of each request, what it waits for, and whether it was woken.
#[derive(Clone, Debug, Default)]
struct Model(Vec<(u32, Vec<i64>, bool)>);

impl Model {
    fn place(&self, share: u8) -> Option<usize> {
        let last = self.0.len().checked_sub(1)?;
        Some(last * usize::from(share) / 255)
    }
}

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::default()).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Step> {
        let codes = prop::collection::vec(0..3i64, 0..3);
        prop_oneof![
            4 => (0..3u32, codes).prop_map(|(queue, codes)| Step::Wait(queue, codes)),
            4 => (0..3u32, 0..3i64).prop_map(|(queue, code)| Step::Arrived(queue, code)),
            1 => (0..3u32).prop_map(Step::WakeAll),
            2 => any::<u8>().prop_map(Step::GiveUp),
        ]
        .boxed()
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        match step {
            Step::Wait(queue, codes) => model.0.push((*queue, codes.clone(), false)),
            Step::Arrived(queue, code) => {
                for (own, codes, woken) in &mut model.0 {
                    *woken |= own == queue && (codes.is_empty() || codes.contains(code));
                }
            }
            Step::WakeAll(queue) => {
                let own = model.0.iter_mut().filter(|(own, ..)| own == queue);
                own.for_each(|(_, _, woken)| *woken = true);
            }
            Step::GiveUp(share) => drop(model.place(*share).map(|place| model.0.remove(place))),
        }
        model
    }
}

#[derive(Default)]
struct Real {
    polls: LongPolls,
    /// Each with whether it has resolved.
    requests: Vec<(Waiting, bool)>,
}

fn queue(number: u32) -> QueueId {
    QueueId::new(Topic::parse("t").expect("a topic"), number)
}

fn group() -> ConsumerGroup {
    ConsumerGroup::parse("g").expect("a group")
}

impl StateMachineTest for Real {
    type SystemUnderTest = Real;
    type Reference = Model;

    fn init_test(_: &Model) -> Real {
        Real::default()
    }

    fn apply(mut real: Real, _: &Model, step: Step) -> Real {
        match step {
            Step::Wait(number, codes) => {
                let interest = match codes.is_empty() {
                    true => Interest::Any,
                    false => Interest::Tags(codes.into()),
                };
                let waiting = real.polls.wait(&queue(number), &group(), interest);
                real.requests.push((waiting.expect("there is room"), false));
            }
            Step::Arrived(number, code) => real.polls.arrived(&queue(number), code),
            Step::WakeAll(number) => real.polls.wake_all(&queue(number)),
            Step::GiveUp(share) => {
                if let Some(last) = real.requests.len().checked_sub(1) {
                    real.requests.remove(last * usize::from(share) / 255);
                }
            }
        }
        for (waiting, resolved) in &mut real.requests {
            if !*resolved {
                *resolved = waiting.arrived().now_or_never().is_some();
            }
        }
        real
    }

    fn check_invariants(real: &Real, model: &Model) {
        let resolved: Vec<_> = real
            .requests
            .iter()
            .map(|(_, resolved)| *resolved)
            .collect();
        let woken: Vec<_> = model.0.iter().map(|(_, _, woken)| *woken).collect();
        assert_eq!(resolved, woken);
        let held = woken.iter().filter(|woken| !**woken).count();
        assert_eq!(
            real.polls.held(),
            held,
            "who was woken or gave up is not held"
        );
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_request_wakes_exactly_when_what_it_waits_for_has_arrived(sequential 1..50 => Real);
}
