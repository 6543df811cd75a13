//! Made-up rows into the broker, at a set pace.

use std::time::Duration;

use async_trait::async_trait;
use connect_sdk::{
    Alias, Connector, Context, Description, Error, Finding, Guarantee, Importance, Kind, Object,
    OptionKind, OptionSpec, Options, Positions, Records, Source, SourceBatch, TaskOptions,
};
use runtime::Moment;
use serde_json::json;

use crate::generator::Generator;

const ANY: OptionKind = OptionKind::Integer {
    min: i64::MIN,
    max: i64::MAX,
};

const ALIASES: &[Alias] = &[Alias::of(
    "io.confluent.kafka.connect.datagen.DatagenConnector",
)];

/// Makes rows up from a seed. The position is the number of the next row, so a restart goes on
/// with the row that would have come.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatagenSource;

#[async_trait]
impl Connector for DatagenSource {
    fn describe(&self) -> Description {
        Description {
            name: "datagen-source",
            family: "datagen",
            aliases: ALIASES,
            kind: Kind::Source,
            version: env!("CARGO_PKG_VERSION"),
            summary: "Makes rows up from a seed, at a set pace.",
            guarantee: Guarantee::ExactlyOnce,
            options: options(),
        }
    }

    fn check(&self, options: &Options) -> Vec<Finding> {
        let Err(error) = Generator::new(options) else {
            return Vec::new();
        };
        let finding = Finding::error("connector.option.value", "schema", error.to_string());
        vec![match error.hint() {
            Some(hint) => finding.with_hint(hint),
            None => finding,
        }]
    }

    fn check_position(
        &self,
        _: &Options,
        place: &Object,
        offset: Option<&Object>,
    ) -> Result<(), String> {
        if *place != partition() {
            let known = serde_json::Value::Object(partition());
            return Err(format!("the only partition is {known}"));
        }
        match offset.map(row) {
            Some(None) => Err("the offset must hold row, the number of the next row".to_owned()),
            _ => Ok(()),
        }
    }

    async fn source(
        &self,
        task: TaskOptions,
        from: Positions,
        context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let options = task.options;
        let next = from.get(&partition()).and_then(row).unwrap_or(0);
        Ok(Box::new(Rows {
            generator: Generator::new(&options)?,
            end: options
                .integer("rows")
                .and_then(|rows| u64::try_from(rows).ok()),
            per_second: options
                .integer("rows.per.second")
                .unwrap_or(0)
                .unsigned_abs(),
            batch: options
                .integer("batch.rows")
                .unwrap_or(1_000)
                .unsigned_abs(),
            pace: (context.clock.now(), next),
            next,
            context,
        }))
    }
}

fn options() -> Vec<OptionSpec> {
    vec![
        OptionSpec::new("schema", OptionKind::Columns, "The columns to fill.")
            .default("id BIGINT, at TIMESTAMP(3), name STRING, amount DOUBLE")
            .importance(Importance::High),
        OptionSpec::new(
            "rows.per.second",
            OptionKind::Integer {
                min: 0,
                max: 10_000_000,
            },
            "How fast; 0 is as fast as the broker takes them.",
        )
        .default("10")
        .importance(Importance::High),
        OptionSpec::new(
            "rows",
            OptionKind::Integer {
                min: 0,
                max: i64::MAX,
            },
            "How many rows in all; endless if it is not set.",
        ),
        OptionSpec::new("seed", ANY, "Another seed makes other rows.").default("0"),
        OptionSpec::new(
            "sequence",
            OptionKind::List,
            "Columns that count up by one per row instead of being random.",
        )
        .default("id"),
        OptionSpec::new("sequence.start", ANY, "Where they begin to count.").default("0"),
        OptionSpec::new("number.min", ANY, "The least random number.").default("0"),
        OptionSpec::new("number.max", ANY, "The greatest random number.").default("100"),
        OptionSpec::new(
            "text.length",
            OptionKind::Integer {
                min: 0,
                max: 1_000_000,
            },
            "The letters of a random text.",
        )
        .default("8"),
        OptionSpec::new(
            "text.keys",
            OptionKind::Integer {
                min: 1,
                max: i64::MAX,
            },
            "How many different random texts there are; as many as may be if it is not set.",
        ),
        OptionSpec::new(
            "time.start",
            ANY,
            "The time of the first row in milliseconds since 1970; the clock tells if it is not set.",
        ),
        OptionSpec::new(
            "time.step",
            OptionKind::Duration,
            "The time between two rows if time.start is set.",
        )
        .default("1s"),
        OptionSpec::new(
            "batch.rows",
            OptionKind::Integer {
                min: 1,
                max: 100_000,
            },
            "The most rows of one batch.",
        )
        .default("1000")
        .importance(Importance::Low)
        .group("Tuning"),
    ]
}

struct Rows {
    generator: Generator,
    next: u64,
    end: Option<u64>,
    per_second: u64,
    batch: u64,
    /// When the pace was begun and the row it began with.
    pace: (Moment, u64),
    context: Context,
}

#[async_trait]
impl Source for Rows {
    async fn poll(&mut self) -> Result<Option<SourceBatch>, Error> {
        let left = self
            .end
            .map_or(u64::MAX, |end| end.saturating_sub(self.next));
        if left == 0 {
            return Ok(None);
        }
        let due = loop {
            let due = self.due();
            if due > 0 {
                break due;
            }
            let (begun, first) = self.pace;
            let ms = (self.next + 1 - first)
                .saturating_mul(1_000)
                .div_ceil(self.per_second);
            self.context
                .clock
                .sleep_until(begun + Duration::from_millis(ms))
                .await;
        };
        let count = due.min(left).min(self.batch);
        let rows = self
            .generator
            .rows(self.next, count as usize, self.context.clock.wall())?;
        self.next += count;
        let mut positions = Positions::new();
        positions.set(partition(), object(json!({ "row": self.next })));
        Ok(Some(SourceBatch {
            records: Records::Columns(rows),
            poisoned: Vec::new(),
            positions,
            boundary: true,
        }))
    }
}

impl Rows {
    /// How many rows should have been made by now and were not.
    fn due(&self) -> u64 {
        if self.per_second == 0 {
            return self.batch;
        }
        let (begun, first) = self.pace;
        let ms = u64::try_from((self.context.clock.now() - begun).as_millis()).unwrap_or(u64::MAX);
        let owed =
            u64::try_from(u128::from(ms) * u128::from(self.per_second) / 1_000).unwrap_or(u64::MAX);
        owed.saturating_sub(self.next - first)
    }
}

/// The number of the next row in an offset.
fn row(offset: &Object) -> Option<u64> {
    offset.get("row")?.as_u64()
}

fn partition() -> Object {
    object(json!({ "generator": "datagen" }))
}

fn object(value: serde_json::Value) -> Object {
    match value {
        serde_json::Value::Object(object) => object,
        _ => Object::new(),
    }
}
