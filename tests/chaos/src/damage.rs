//! What a broker makes of damaged files, tried on a copy of its data while it is down.
//!
//! Whatever was acknowledged is served, or the broker refuses to start and says what a person
//! can do; of the log alone, a damaged record may be missing while everything around it is
//! served. Bytes that nobody sent are never served.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use client::{Client, Filter};
use model::{ConsumerGroup, QueueId, QueueOffset, Topic};
use runtime::{Clock, Rng, Tasks};

use crate::body::number_of;
use crate::broker::{Broker, Start};
use crate::recorder::Recorder;
use crate::rust_load::{QUEUES, TOPIC, connect};
use crate::target::Place;

/// Messages that damage of a few bytes may take: those of one batch.
const OF_ONE_RECORD: usize = 8;
/// How long a queue may take to be told of.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A segment of the log that is not written to any more.
    Log,
    /// Queue index, key index, checkpoint.
    Index,
    Metadata,
}

impl Part {
    /// By its place in the data.
    fn of(path: &Path) -> Option<Part> {
        let has = |name: &str| path.components().any(|part| part.as_os_str() == name);
        if has("commitlog") {
            Some(Part::Log)
        } else if has("millstream") {
            Some(Part::Index)
        } else if has("metadata") {
            Some(Part::Metadata)
        } else {
            None
        }
    }
}

/// Copies the data, damages the copy, and starts a broker over it; what came of it, in words.
pub(crate) fn try_damage(
    broker: &Broker,
    recorder: &Recorder,
    address: String,
    rng: &Rng,
) -> Result<String> {
    let place = Place {
        folder: broker.place.folder.join("damaged"),
        address,
        advertised: None,
        deletes: false,
    };
    std::fs::remove_dir_all(&place.folder).ok();
    copy(&broker.place.data(), &place.data())?;
    let part = match rng.range(0..5) {
        0..2 => Part::Log,
        2..4 => Part::Index,
        _ => Part::Metadata,
    };
    let Some((file, at)) = damage(&place.data(), part, rng)? else {
        std::fs::remove_dir_all(&place.folder)?;
        return Ok(format!("{part:?}: nothing there yet to be damaged"));
    };
    let name = file.strip_prefix(place.data()).unwrap_or(&file).to_owned();
    let what = format!("{part:?}, {} damaged at {at}", name.display());
    let mut trial = broker.again_at(place.clone());
    trial.start()?;
    let came = match trial.outcome().with_context(|| what.clone())? {
        Start::Refused(said) => {
            let copied = place.data().join("metadata.copies").exists();
            refusal(part, &file, copied, &said).with_context(|| what.clone())?;
            "the broker refuses to start and says how to mend it".to_owned()
        }
        Start::Serves(_) => {
            let served = serve(&mut trial, recorder, part).with_context(|| what.clone())?;
            trial.kill().with_context(|| what.clone())?;
            served
        }
    };
    std::fs::remove_dir_all(&place.folder)?;
    Ok(format!("{what}: {came}"))
}

/// Whether what it said on refusing helps a person.
fn refusal(part: Part, file: &Path, copied: bool, said: &str) -> Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match part {
        Part::Log => ensure!(
            said.contains(&*name) && said.contains("store repair") && said.contains(" at "),
            "refused without file, position and the command that repairs: {said}"
        ),
        Part::Metadata if copied => bail!("there is a copy of the metadata: {said}"),
        Part::Metadata => ensure!(
            said.contains("metadata") && !said.contains("panicked"),
            "refused without naming what is damaged: {said}"
        ),
        Part::Index => bail!("an index is rebuilt from the log, and no reason to refuse: {said}"),
    }
    Ok(())
}

/// Overwrites some bytes of one file of the part; which file, and where.
fn damage(data: &Path, part: Part, rng: &Rng) -> Result<Option<(PathBuf, u64)>> {
    let mut files = Vec::new();
    find(data, &mut files)?;
    files.retain(|path| {
        let place = path.strip_prefix(data).unwrap_or(path);
        Part::of(place) == Some(part)
    });
    files.sort();
    if part == Part::Log {
        // The last two may be written to: damage at the end is the tail of a torn write.
        files.truncate(files.len().saturating_sub(2));
    }
    let mut places = Vec::new();
    for path in files {
        let bytes = std::fs::read(&path)?;
        let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        if !written.is_empty() {
            places.push((path, written));
        }
    }
    if places.is_empty() {
        return Ok(None);
    }
    let (path, written) = &places[rng.range(0..places.len() as u64) as usize];
    let at = written[rng.range(0..written.len() as u64) as usize] as u64;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)?;
    let mut bytes = vec![0; rng.range(1..17) as usize];
    let count = file.read_at(&mut bytes, at)?;
    for byte in &mut bytes[..count] {
        *byte ^= rng.range(1..256) as u8;
    }
    file.write_all_at(&bytes[..count], at)?;
    Ok(Some((path.clone(), at)))
}

/// Holds what the broker over the damaged copy serves against what was acknowledged.
fn serve(trial: &mut Broker, recorder: &Recorder, part: Part) -> Result<String> {
    let allowed = match part {
        Part::Log => OF_ONE_RECORD,
        Part::Index | Part::Metadata => 0,
    };
    let (mut served, mut missing) = compare(&trial.place, recorder)?;
    let mut when = "";
    if part == Part::Index && missing > 0 {
        // Damage far back is met by a reader, who is told so; the next start rebuilds the index.
        trial.stop()?;
        trial.start()?;
        trial.ready()?;
        (served, missing) = compare(&trial.place, recorder)?;
        when = ", after another start";
    }
    ensure!(
        missing <= allowed,
        "{missing} acknowledged messages are not served, {served} are{when}"
    );
    Ok(format!("{served} served, {missing} not readable{when}"))
}

/// Reads everything; how many messages are served, and how many acknowledged ones are not.
fn compare(place: &Place, recorder: &Recorder) -> Result<(usize, usize)> {
    let mut expected = HashMap::new();
    for (message, entry) in recorder.acknowledged_so_far() {
        expected.insert(entry.place, message);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let tasks = Tasks::new(Clock::real());
        let client = connect(&tasks, &place.name_server()).await?;
        let topic = Topic::parse(TOPIC)?;
        let (mut served, mut missing) = (0, 0);
        for number in 0..QUEUES {
            let queue = QueueId::new(topic.clone(), number);
            let place_at = |offset| recorder.place(&queue, offset);
            let found = read(&client, &queue).await?;
            for (offset, message) in &found {
                match expected.get(&place_at(*offset)) {
                    Some(wanted) if message != &Some(*wanted) => {
                        bail!("{queue} {offset} holds {message:?}, where {wanted} was acknowledged")
                    }
                    None if message.is_none() => {
                        bail!("{queue} {offset} serves bytes that nobody sent")
                    }
                    _ => served += 1,
                }
            }
            let of_queue = recorder.queue(&queue);
            let wanted = expected.keys().filter(|place| place.queue == of_queue);
            missing += wanted
                .filter(|place| !found.contains_key(&place.offset))
                .count();
        }
        tasks.stop(Duration::from_secs(1)).await;
        Ok((served, missing))
    })
}

/// What can be read of a queue, by offset; what cannot is passed over.
async fn read(client: &Client, queue: &QueueId) -> Result<HashMap<u64, Option<u64>>> {
    let group = ConsumerGroup::parse("damage").expect("a group's name");
    let consumer = client.pull_consumer(group);
    let clock = Clock::real();
    let begun = clock.now();
    let (mut next, max) = loop {
        match (
            consumer.min_offset(queue).await,
            consumer.max_offset(queue).await,
        ) {
            (Ok(min), Ok(max)) => break (min.0, max.0),
            (Err(why), _) | (_, Err(why)) if clock.now().since(begun) > PATIENCE => {
                return Err(why).with_context(|| format!("{queue} does not tell its bounds"));
            }
            _ => clock.sleep(Duration::from_millis(50)).await,
        }
    };
    let mut found = HashMap::new();
    while next < max {
        let from = QueueOffset(next);
        let pulled = consumer.pull(queue, from, 32, &Filter::All, Duration::ZERO);
        match pulled.await {
            Ok(pulled) if pulled.next.0 > next => {
                for stored in &pulled.messages {
                    found.insert(stored.queue_offset.0, number_of(&stored.message.body));
                }
                next = pulled.next.0;
            }
            _ => next += 1,
        }
    }
    Ok(found)
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let copied = to.join(path.file_name().context("an entry has a name")?);
        if path.is_dir() {
            copy(&path, &copied)?;
        } else {
            std::fs::copy(&path, &copied)?;
        }
    }
    Ok(())
}
