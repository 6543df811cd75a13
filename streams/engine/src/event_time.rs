//! A job's watermarks: per queue the greatest one called for, per table the smallest over queues
//! that are not idle.
//!
//! A queue is idle if it is read to its end and has been silent for the job's idle timeout. One
//! that still has rows to read never is, however slowly they come: its rows would be late.

use crate::{Polled, PolledQueue};
use arrow::{
    array::{Array, Int64Array},
    compute::max,
};
use dataflow::{Dataflow, NodeId, NodeKind};
use operators::{EventTimes, SourceRows, Watermark};
use runtime::Moment;
use state::QueueName;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Watermarks of all the places of a job that declare event time. A clone forgets nothing.
#[derive(Clone)]
pub(crate) struct JobTimes {
    idle_timeout: Option<Duration>,
    tables: BTreeMap<NodeId, TableTime>,
    /// Queues of each source in this epoch, in the order of its rows.
    layout: BTreeMap<NodeId, Vec<PolledQueue>>,
    now: Option<Moment>,
    /// All rows have come.
    ended: bool,
}

/// One place that declares event time.
#[derive(Clone)]
struct TableTime {
    /// Operator id, under which watermarks are kept.
    name: String,
    /// Sources whose rows come here, with their operator ids.
    sources: BTreeMap<NodeId, String>,
    queues: BTreeMap<(NodeId, Arc<str>), QueueTime>,
    /// Watermarks of an earlier run, until their queue is seen.
    kept: BTreeMap<String, i64>,
}

#[derive(Clone)]
struct QueueTime {
    greatest: Option<i64>,
    /// Last time it brought rows or had more to bring.
    awake: Moment,
}

impl JobTimes {
    pub(crate) fn new(
        dataflow: &Dataflow,
        kept: &BTreeMap<QueueName, i64>,
        idle_timeout: Option<Duration>,
    ) -> Self {
        let declaring = dataflow
            .nodes
            .iter()
            .filter(|node| matches!(node.kind, NodeKind::Watermark(_)));
        let tables = declaring.map(|node| {
            let name = node.operator.to_string();
            let own = kept.iter().filter(|(queue, _)| queue.source == name);
            let kept = own.map(|(queue, at)| (queue.queue.clone(), *at)).collect();
            let sources = sources_behind(dataflow, node.id);
            (
                node.id,
                TableTime {
                    name,
                    sources,
                    queues: BTreeMap::new(),
                    kept,
                },
            )
        });
        Self {
            idle_timeout,
            tables: tables.collect(),
            layout: BTreeMap::new(),
            now: None,
            ended: false,
        }
    }

    /// Begins an epoch with these rows at this moment.
    pub(crate) fn begin(&mut self, polled: &BTreeMap<NodeId, Polled>, now: Moment, ended: bool) {
        self.layout = polled
            .iter()
            .map(|(source, polled)| (*source, polled.queues.clone()))
            .collect();
        self.now = Some(now);
        self.ended = ended;
        for table in self.tables.values_mut() {
            for (source, id) in &table.sources {
                for queue in self.layout.get(source).into_iter().flatten() {
                    let kept = &mut table.kept;
                    let time = table
                        .queues
                        .entry((*source, Arc::clone(&queue.name)))
                        .or_insert_with(|| QueueTime {
                            greatest: kept.remove(&queue_key(id, &queue.name)),
                            awake: now,
                        });
                    if queue.rows > 0 || !queue.at_end {
                        time.awake = now;
                    }
                }
            }
        }
    }

    /// Greatest watermark seen per queue, to be committed with the epoch.
    pub(crate) fn queue_watermarks(&self) -> BTreeMap<QueueName, i64> {
        let mut watermarks = BTreeMap::new();
        for table in self.tables.values() {
            let name = |queue: String| QueueName {
                source: table.name.clone(),
                queue,
            };
            watermarks.extend(
                table
                    .kept
                    .iter()
                    .map(|(queue, at)| (name(queue.clone()), *at)),
            );
            for ((source, queue), time) in &table.queues {
                let key = queue_key(&table.sources[source], queue);
                watermarks.extend(time.greatest.map(|at| (name(key), at)));
            }
        }
        watermarks
    }
}

impl EventTimes for JobTimes {
    fn observe(&mut self, node: NodeId, rows: &SourceRows, watermarks: &Int64Array) -> Watermark {
        let (Some(table), Some(now)) = (self.tables.get_mut(&node), self.now) else {
            return Watermark::NONE;
        };
        if self.ended {
            return Watermark::END;
        }
        match rows {
            SourceRows::Same(source) => {
                let mut from = 0;
                for queue in self.layout.get(source).into_iter().flatten() {
                    let own = watermarks.slice(from, queue.rows);
                    from += queue.rows;
                    table.raise(*source, &queue.name, max(&own));
                }
            }
            SourceRows::Rows(rows) => {
                for (position, (source, row)) in rows
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| watermarks.is_valid(*at))
                {
                    let mut end = 0;
                    let queue = self.layout.get(source).into_iter().flatten().find(|queue| {
                        end += queue.rows;
                        (*row as usize) < end
                    });
                    if let Some(queue) = queue {
                        table.raise(*source, &queue.name, Some(watermarks.value(position)));
                    }
                }
            }
            SourceRows::Unknown => {
                let greatest = max(watermarks);
                let queues: Vec<_> = table.queues.keys().cloned().collect();
                queues
                    .into_iter()
                    .for_each(|(source, queue)| table.raise(source, &queue, greatest));
            }
        }
        let idle = |queue: &QueueTime| {
            self.idle_timeout
                .is_some_and(|timeout| now.since(queue.awake) >= timeout)
        };
        let queues = table.queues.values().map(|queue| Watermark {
            at: queue.greatest,
            idle: idle(queue),
        });
        let queues: Vec<Watermark> = queues.collect();
        let joint = Watermark::of_inputs(&queues);
        // Where all are silent, those that never spoke hold nothing back. The furthest must not
        // decide: when the others go on, their rows would be late.
        if joint.idle {
            Watermark {
                at: queues.iter().filter_map(|queue| queue.at).min(),
                idle: true,
            }
        } else {
            joint
        }
    }
}

impl TableTime {
    fn raise(&mut self, source: NodeId, queue: &Arc<str>, to: Option<i64>) {
        if let Some(time) = self.queues.get_mut(&(source, Arc::clone(queue))) {
            time.greatest = time.greatest.max(to);
        }
    }
}

fn queue_key(source: &str, queue: &str) -> String {
    format!("{source} {queue}")
}

fn sources_behind(dataflow: &Dataflow, node: NodeId) -> BTreeMap<NodeId, String> {
    let node = dataflow.node(node);
    if node.inputs.is_empty() {
        return BTreeMap::from([(node.id, node.operator.to_string())]);
    }
    node.inputs
        .iter()
        .flat_map(|input| sources_behind(dataflow, *input))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::{
        array::RecordBatch,
        datatypes::{DataType, Field, Schema, TimeUnit},
    };
    use dataflow::{Expression, Source, StateBound, TableSpec, Traits};
    use runtime::Clock;

    const SOURCE: NodeId = NodeId(0);
    const DECLARES: NodeId = NodeId(1);
    const TIMEOUT: Duration = Duration::from_secs(5);

    fn job() -> Dataflow {
        let mut flow = Dataflow::new("test");
        let time = DataType::Timestamp(TimeUnit::Millisecond, None);
        let schema = Arc::new(Schema::new(vec![Field::new("ts", time, true)]));
        let table = TableSpec {
            name: "input".to_owned(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            watermark: None,
            options: BTreeMap::new(),
            place: String::new(),
        };
        let bound = StateBound::Stateless;
        let traits = Traits {
            append_only: true,
            unique_key: None,
            event_time: None,
            state_bound: bound,
        };
        let source = NodeKind::Source(Source {
            table,
            columns: vec![0],
        });
        let source = flow.add(source, vec![], schema.clone(), traits.clone());
        let expression = Expression {
            sql: "ts".to_owned(),
            encoded: Vec::new(),
        };
        let watermark = dataflow::Watermark {
            column: 0,
            expression,
        };
        flow.add(NodeKind::Watermark(watermark), vec![source], schema, traits);
        flow
    }

    /// An epoch in which each queue brings rows that call for these watermarks.
    fn observe(times: &mut JobTimes, now: Moment, queues: &[(&[i64], bool)]) -> Watermark {
        let watermarks: Int64Array = queues
            .iter()
            .flat_map(|(rows, _)| rows.iter().copied().map(Some))
            .collect();
        let queue = |(name, (rows, at_end)): (usize, &(&[i64], bool))| PolledQueue {
            name: name.to_string().into(),
            rows: rows.len(),
            position: Vec::new(),
            at_end: *at_end,
        };
        let polled = Polled {
            rows: RecordBatch::new_empty(Arc::new(Schema::empty())),
            originals: Vec::new(),
            offsets: Vec::new(),
            queues: queues.iter().enumerate().map(queue).collect(),
            undecodable: Vec::new(),
        };
        times.begin(&BTreeMap::from([(SOURCE, polled)]), now, false);
        times.observe(DECLARES, &SourceRows::Same(SOURCE), &watermarks)
    }

    fn times(kept: &BTreeMap<QueueName, i64>) -> (JobTimes, Moment) {
        (
            JobTimes::new(&job(), kept, Some(TIMEOUT)),
            Clock::real().now(),
        )
    }

    #[test]
    fn the_slowest_queue_decides() {
        let (mut times, now) = times(&BTreeMap::new());
        assert_eq!(
            observe(&mut times, now, &[(&[5, 9, 7], false), (&[], false)]),
            Watermark::NONE
        );
        assert_eq!(
            observe(&mut times, now, &[(&[], false), (&[3], false)]),
            Watermark::at(3)
        );
        assert_eq!(
            observe(&mut times, now, &[(&[2], false), (&[100], false)]),
            Watermark::at(9)
        );
    }

    #[test]
    fn a_queue_is_idle_only_if_it_is_read_to_its_end_and_silent() {
        let (mut times, now) = times(&BTreeMap::new());
        assert_eq!(
            observe(&mut times, now, &[(&[50], true), (&[10], true)]),
            Watermark::at(10)
        );
        let almost = now + TIMEOUT - Duration::from_millis(1);
        assert_eq!(
            observe(&mut times, almost, &[(&[60], true), (&[], true)]),
            Watermark::at(10)
        );
        assert_eq!(
            observe(&mut times, now + TIMEOUT, &[(&[], true), (&[], true)]),
            Watermark::at(60)
        );

        let (mut times, now) = self::times(&BTreeMap::new());
        observe(&mut times, now, &[(&[50], true), (&[10], true)]);
        let behind = observe(&mut times, now + TIMEOUT, &[(&[60], true), (&[], false)]);
        assert_eq!(
            behind,
            Watermark::at(10),
            "a queue with rows left is waited for"
        );
    }

    #[test]
    fn when_all_are_silent_the_slowest_that_ever_spoke_decides() {
        let (mut times, now) = times(&BTreeMap::new());
        let spoke = observe(
            &mut times,
            now,
            &[(&[50], true), (&[10], true), (&[], true)],
        );
        assert_eq!(spoke, Watermark::NONE, "the third may still speak");
        let later = now + TIMEOUT;
        let silent = observe(&mut times, later, &[(&[], true), (&[], true), (&[], true)]);
        assert_eq!(
            silent,
            Watermark {
                at: Some(10),
                idle: true
            },
            "rows behind 10 are still welcome in the second queue"
        );
    }

    #[test]
    fn an_earlier_runs_watermarks_go_on() {
        let (mut first, now) = times(&BTreeMap::new());
        observe(&mut first, now, &[(&[5], false), (&[3], false)]);
        let (mut second, now) = times(&first.queue_watermarks());
        assert_eq!(second.queue_watermarks(), first.queue_watermarks());
        assert_eq!(
            observe(&mut second, now, &[(&[], false), (&[], false)]),
            Watermark::at(3)
        );
    }

    #[test]
    fn rows_that_were_filtered_still_belong_to_their_queues() {
        let (mut times, now) = times(&BTreeMap::new());
        observe(&mut times, now, &[(&[1, 2], false), (&[1], false)]);
        let rows = SourceRows::Rows(vec![(SOURCE, 1), (SOURCE, 2)]);
        let joint = times.observe(DECLARES, &rows, &Int64Array::from(vec![20, 30]));
        assert_eq!(joint, Watermark::at(20));
    }
}
