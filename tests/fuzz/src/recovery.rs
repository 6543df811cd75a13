//! A store's directory after anything has been done to it: started, checked, mended, read.

use std::collections::BTreeMap;
use std::path::Path;

use model::QueueId;
use model::record::view;
use runtime::SimDisk;
use store::{Dumped, Offline, RecordChecksum};

use crate::damage::Damage;
use crate::written::{
    House, Messages, ROOT, STORES, Written, contents, keep, run as run_async, served,
};

/// A repair rarely makes more changes than so many.
const CHANGES: u64 = 48;

/// The first byte chooses the store, the rest is what is done to it.
pub(crate) fn run(bytes: &[u8]) {
    let Some((choice, changes)) = bytes.split_first() else {
        return;
    };
    let written = &STORES[usize::from(*choice) % STORES.len()];
    let disk = damaged(written, changes);
    let guarded = is_guarded(written, &disk);
    run_async(starts(written, guarded, &disk));
    let disk = damaged(written, changes);
    let Some(plan) = mends(guarded, &disk) else {
        return;
    };
    let mended = run_async(serves_after_repair(written, guarded, &disk, plan));
    let disk = damaged(written, changes);
    let Some(plan) = interrupted(bytes, guarded, &disk) else {
        return;
    };
    let completed = run_async(serves_after_repair(written, guarded, &disk, plan));
    assert!(
        completed == mended || !guarded,
        "R1: a repair that was killed and completed serves the same"
    );
}

/// Whether it is known that every record has a checksum of all of it: a checkpoint says so.
fn is_guarded(written: &Written, disk: &SimDisk) -> bool {
    let disk = disk.mount();
    let heads = Path::new(ROOT).join("millstream/heads");
    let mut files = written.files.iter();
    written.checksum == RecordChecksum::Record
        && files.all(|(path, bytes)| {
            !path.starts_with(&heads) || disk.read(path).is_ok_and(|found| found == *bytes)
        })
}

fn damaged(written: &Written, changes: &[u8]) -> SimDisk {
    let disk = written.disk();
    Damage::new(changes, written, &disk).make();
    disk
}

/// A start refuses, or serves what was written; and a start after a kill finds the same.
async fn starts(written: &Written, guarded: bool, disk: &SimDisk) {
    let mut before: Option<(Option<Messages>, u64)> = None;
    for _ in 0..2 {
        let house = match House::open(disk, written.checksum) {
            Ok(house) => house,
            Err(why) => {
                assert!(before.is_none(), "the second start refuses: {why}");
                disk.kill();
                return;
            }
        };
        let now = (served(&house.store).await.ok(), house.report.end.0);
        if let Some(messages) = &now.0 {
            nothing_else(written, guarded, messages);
        }
        house.kill().await;
        if let Some(before) = before.replace(now.clone()) {
            assert!(before == now, "R1: recovering again changes nothing");
        }
    }
}

/// Every message is one that was written, in its place. Where nothing says that a record must
/// have a checksum of all of it, the one of its body is all that is promised.
fn nothing_else(written: &Written, guarded: bool, messages: &Messages) {
    for (place, (at, found)) in messages {
        if guarded {
            let expected = written.messages.get(place);
            assert_eq!(Some(&(*at, found.clone())), expected, "{place:?}");
            continue;
        }
        let found = view(found).expect("what is served is a record");
        let mut sent = written.messages.values();
        let sent = sent.any(|(_, record)| view(record).is_ok_and(|sent| sent.body == found.body));
        assert!(sent, "nobody has written what is at {place:?}: {found:?}");
    }
}

/// Dumps, checks and mends; what was done to a store that is whole now.
fn mends(guarded: bool, disk: &SimDisk) -> Option<Vec<String>> {
    let mount = disk.mount();
    let before = contents(&mount);
    let offline = Offline::open(ROOT.into(), mount.clone()).ok()?;
    dump(&offline);
    let check = offline.check(&mut |_, _| ());
    let check = check.unwrap_or_else(|why| panic!("it cannot be checked: {why}"));
    assert!(contents(&mount) == before, "a check changes nothing");
    if check.hopeless().is_some() {
        return None;
    }
    let plan = check.plan();
    let mended = offline.repair(&check, &mut |_, _| ());
    mended.unwrap_or_else(|why| panic!("{plan:#?} cannot be done: {why}"));
    let again = offline.check(&mut |_, _| ()).expect("it was read before");
    // What no checksum guards may contradict itself, and nobody can say what was true.
    assert!(
        again.is_sound() || !guarded,
        "after {plan:#?} a check finds {:#?}",
        again.findings
    );
    assert_eq!(again.plan(), Vec::<String>::new(), "after {plan:#?}");
    Some(plan)
}

/// Loses power on the way, wherever the bytes say, and mends the rest.
fn interrupted(bytes: &[u8], guarded: bool, disk: &SimDisk) -> Option<Vec<String>> {
    let mount = disk.mount();
    keep(&mount);
    let chosen = bytes.iter().fold(0u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    let offline = Offline::open(ROOT.into(), mount).expect("it was opened before");
    let check = offline.check(&mut |_, _| ());
    let check = check.expect("it was checked before");
    disk.power_fails_after(chosen % CHANGES);
    let _ = offline.repair(&check, &mut |_, _| ());
    drop(offline);
    disk.crash();
    mends(guarded, disk)
}

/// Ends, and says of everything where it lies.
fn dump(offline: &Offline) {
    let mut next = 0;
    let _ = offline.dump(0, &mut |dumped| {
        let (from, to) = match dumped {
            Dumped::Record(record) => {
                let from = record.log_offset.0;
                (from, from + u64::from(record.size()))
            }
            Dumped::Damaged { from, to, .. } => (from, to),
        };
        assert!(from >= next && to > from, "{from} to {to} behind {next}");
        next = to;
        true
    });
}

/// All messages, and where every queue ends.
type Served = (Messages, BTreeMap<QueueId, u64>);

async fn serves_after_repair(
    written: &Written,
    guarded: bool,
    disk: &SimDisk,
    plan: Vec<String>,
) -> Served {
    let house = match House::open(disk, written.checksum) {
        Ok(house) => house,
        Err(why) => panic!("after {plan:#?} a start refuses: {why}"),
    };
    let messages = served(&house.store).await;
    let messages = messages.unwrap_or_else(|why| panic!("after {plan:#?}: {why}"));
    nothing_else(written, guarded, &messages);
    let ends = house.store.queues().into_iter().map(|queue| {
        let bounds = house.store.bounds(&queue);
        let end = bounds.map_or(0, |bounds| bounds.max.0);
        (queue, end)
    });
    let served = (messages, ends.collect());
    house.close().await.expect("it closes");
    let offline = Offline::open(ROOT.into(), disk.mount()).expect("nobody has it open");
    let check = offline.check(&mut |_, _| ()).expect("it is read");
    assert!(
        check.findings.is_empty() || !guarded,
        "{:#?}",
        check.findings
    );
    served
}
