//! Every breach is noticed, and what is allowed is not taken for one.

use crate::{Event, History, Place, Promise, Queue};

const KILLS: Promise = Promise::SurvivesKills { flush_ms: 100 };
const POWER: Promise = Promise::SurvivesPowerLoss;

/// A history of one queue, told in short.
struct Told {
    history: History,
    queue: Queue,
    now: u64,
}

impl Told {
    fn new(promise: Promise) -> Told {
        let mut history = History::new(promise);
        let queue = history.queue("topic/0");
        Told {
            history,
            queue,
            now: 0,
        }
    }

    fn place(&self, offset: u64) -> Place {
        Place {
            queue: self.queue,
            offset,
        }
    }

    fn add(mut self, event: Event) -> Told {
        self.now += 1;
        self.history.add(self.now, event);
        self
    }

    fn after(mut self, ms: u64) -> Told {
        self.now += ms;
        self
    }

    fn sent(self, message: u64) -> Told {
        self.add(Event::Sent {
            message,
            producer: 1,
            queue: None,
            retried: false,
        })
    }

    /// Sent and acknowledged at an offset; its log position is ten times that.
    fn stored(self, message: u64, offset: u64) -> Told {
        let place = self.place(offset);
        self.sent(message).add(Event::Acknowledged {
            message,
            place,
            log: Some(offset * 10),
        })
    }

    fn read(self, offset: u64, message: u64) -> Told {
        let place = self.place(offset);
        self.add(Event::Read {
            reader: 1,
            place,
            message,
            log: None,
        })
    }

    fn committed(self, offset: u64) -> Told {
        let queue = self.queue;
        self.add(Event::Committed {
            group: 1,
            queue,
            offset,
            alone: true,
        })
    }

    fn finished(self, message: u64) -> Told {
        self.add(Event::Finished { group: 1, message })
    }

    fn bounds(self, min: u64, max: u64) -> Told {
        let queue = self.queue;
        self.add(Event::Bounds { queue, min, max })
    }

    /// The end: the queue holds these messages from offset 0 on.
    fn holds(mut self, messages: &[u64]) -> Told {
        for (offset, message) in messages.iter().enumerate() {
            let place = self.place(offset as u64);
            self = self.add(Event::Drained {
                place,
                message: *message,
                log: Some(offset as u64 * 10),
            });
        }
        let (queue, max) = (self.queue, messages.len() as u64);
        self.add(Event::End { queue, min: 0, max })
    }

    #[track_caller]
    fn breaks(self, promises: &[&str]) {
        let verdict = self.history.finish();
        let broken: Vec<&str> = verdict.violations.iter().map(|one| one.promise).collect();
        assert_eq!(broken, promises, "{verdict}");
    }
}

#[test]
fn what_is_kept_breaks_nothing() {
    let told = Told::new(KILLS).stored(1, 0).stored(2, 1).sent(3);
    let told = told.read(0, 1).read(1, 2).finished(1).finished(2);
    let told = told.committed(2).add(Event::Killed).bounds(0, 3);
    told.holds(&[1, 2, 3]).breaks(&[]);
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let told = Told::new(KILLS)
        .stored(1, 0)
        .stored(2, 1)
        .add(Event::Killed);
    told.holds(&[1]).breaks(&["D1"]);
}

#[test]
fn what_was_read_is_there_after_a_kill() {
    let told = Told::new(KILLS).sent(1).read(0, 1).add(Event::Killed);
    told.holds(&[]).breaks(&["D7"]);
}

#[test]
fn a_loss_of_power_takes_a_young_suffix_in_the_weak_mode_only() {
    let lost = |promise| {
        let told = Told::new(promise).stored(1, 0).after(500);
        told.stored(2, 1).stored(3, 2).add(Event::PowerLost)
    };
    lost(KILLS).holds(&[1]).breaks(&[]);
    lost(KILLS).holds(&[1, 2]).breaks(&[]);
    lost(KILLS).holds(&[]).breaks(&["D1"]);
    lost(POWER).holds(&[1, 2]).breaks(&["D1"]);
}

#[test]
fn what_power_took_gives_its_offset_to_another_and_never_comes_back() {
    let lost = || Told::new(KILLS).stored(1, 0).add(Event::PowerLost);
    lost().stored(2, 0).holds(&[2]).breaks(&[]);
    lost().stored(2, 0).holds(&[2, 1]).breaks(&["D2"]);
}

#[test]
fn a_loss_in_the_middle_is_no_suffix() {
    let told = Told::new(KILLS).stored(1, 0).stored(2, 1);
    let told = told.add(Event::PowerLost).stored(3, 0).read(1, 2);
    let place = told.place(1);
    let told = told.add(Event::Drained {
        place,
        message: 2,
        log: Some(10),
    });
    told.breaks(&["D1"]);
}

#[test]
fn one_offset_holds_one_message() {
    let told = Told::new(KILLS).stored(1, 0).sent(2).read(0, 2);
    told.breaks(&["D3"]);
    let told = Told::new(KILLS).stored(1, 0).bounds(0, 2).bounds(0, 1);
    told.breaks(&["D3"]);
}

#[test]
fn one_message_lies_at_one_offset_unless_it_was_sent_again() {
    Told::new(KILLS).stored(1, 0).read(1, 1).breaks(&["D4"]);
    let told = Told::new(KILLS).add(Event::Sent {
        message: 1,
        producer: 1,
        queue: None,
        retried: true,
    });
    told.read(0, 1).read(1, 1).breaks(&[]);
}

#[test]
fn what_is_to_come_later_comes_once_and_never_early() {
    let promised = || Told::new(KILLS).sent(1).add(Event::Promised { message: 1 });
    let came = |at| Event::Came {
        message: 1,
        due: 1_000,
        at,
    };
    promised().add(came(1_000)).holds(&[1]).breaks(&[]);
    promised().add(came(999)).holds(&[1]).breaks(&["D12"]);
    promised().add(Event::Killed).holds(&[]).breaks(&["D12"]);
    promised().holds(&[1, 1]).breaks(&["D4"]);
    let told = promised().after(500).add(Event::PowerLost);
    told.holds(&[]).breaks(&["D12"]);
    promised().add(Event::PowerLost).holds(&[]).breaks(&[]);
}

#[test]
fn nothing_is_there_that_was_not_sent_or_was_refused() {
    Told::new(KILLS).read(0, 9).breaks(&["D2"]);
    let told = Told::new(KILLS).sent(1).add(Event::Refused { message: 1 });
    told.read(0, 1).breaks(&["D2"]);
}

#[test]
fn a_reader_skips_nothing_and_sees_nothing_twice() {
    let three = || Told::new(KILLS).stored(1, 0).stored(2, 1).stored(3, 2);
    three().read(0, 1).read(2, 3).breaks(&["D5"]);
    three().read(0, 1).read(0, 1).breaks(&["D5"]);
    three().holds(&[1, 2]).breaks(&["D1"]);
}

#[test]
fn one_producers_messages_lie_in_the_order_it_sent_them() {
    let told = Told::new(KILLS).stored(1, 1).stored(2, 0);
    told.breaks(&["D6"]);
}

#[test]
fn a_group_passes_nothing_over_and_does_not_go_back() {
    let two = || Told::new(KILLS).stored(1, 0).stored(2, 1);
    two().finished(2).committed(2).breaks(&["D11"]);
    two().finished(1).committed(1).committed(0).breaks(&["D11"]);
    let told = two().finished(1).committed(1).add(Event::Killed);
    told.committed(0).breaks(&[]);
    let told = two().finished(1).committed(1).after(7_000);
    told.add(Event::Killed).committed(0).breaks(&["D11"]);
    let postponed = Event::Postponed {
        group: 1,
        message: 1,
    };
    two().add(postponed).committed(1).breaks(&[]);
}

#[test]
fn a_group_gets_every_message_in_the_end() {
    let told = Told::new(KILLS).stored(1, 0).stored(2, 1).finished(1);
    let queue = told.queue;
    told.add(Event::Caught { group: 1, queue }).breaks(&["D10"]);
}

#[test]
fn a_queue_does_not_begin_earlier_than_it_did() {
    Told::new(KILLS).bounds(5, 9).bounds(4, 9).breaks(&["D16"]);
}

#[test]
fn what_is_seen_late_proves_nothing_of_what_power_left() {
    let told = Told::new(KILLS).stored(1, 0).add(Event::PowerLost);
    let (place, log) = (told.place(0), Some(0));
    let seen = Event::Seen {
        place,
        message: 1,
        log,
    };
    let told = told.add(seen).stored(2, 0);
    told.holds(&[2]).breaks(&[]);
    let told = Told::new(KILLS).stored(1, 0).sent(2);
    told.add(Event::Seen {
        place,
        message: 2,
        log,
    })
    .breaks(&["D3"]);
}
