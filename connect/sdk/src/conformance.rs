//! What every connector is held to. A connector's own tests call these with the connector set
//! up; each panics with a sentence where the promise is not kept.

use std::collections::BTreeSet;

use arrow::json::LineDelimitedWriter;
use futures::FutureExt;

use crate::{Connector, Error, Kind, OptionKind, Positions, Records, Sink, SinkBatch, Source};

/// The description can be shown, drawn as a form and validated against.
pub fn description_is_consistent(connector: &dyn Connector) {
    let description = connector.describe();
    let kind = description.kind;
    assert_eq!(
        description.name,
        format!("{}-{kind}", description.family),
        "the class is the family and the kind"
    );
    assert!(
        description.summary.ends_with('.'),
        "the summary is a sentence"
    );
    let mut names = BTreeSet::new();
    for option in &description.options {
        let name = option.name;
        assert!(names.insert(name), "option {name} is there twice");
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
        };
        assert!(
            name.bytes().all(plain),
            "option {name} is written in small letters"
        );
        assert!(
            option.documentation.ends_with('.'),
            "the documentation of {name} is a sentence"
        );
        assert!(
            !(option.required && option.default.is_some()),
            "option {name} cannot be required and have a default"
        );
        if let Some(default) = option.default {
            assert_eq!(
                option.kind.complaint(default),
                None,
                "the default of {name} is one of its values"
            );
        }
        if name.contains("password") || name.contains("secret") || name.contains("token") {
            assert_eq!(option.kind, OptionKind::Secret, "option {name} is a secret");
        }
    }
    let schema = connector.describe().json_schema();
    let properties = schema["properties"]
        .as_object()
        .expect("a schema has properties");
    assert_eq!(properties.len(), names.len(), "the schema has every option");
    let definitions = connector.describe().config_definitions();
    assert_eq!(
        definitions.len(),
        names.len(),
        "the definitions have every option"
    );
}

/// A connector of one kind refuses to be opened as the other, with a reason.
pub async fn other_side_is_refused(
    connector: &dyn Connector,
    task: crate::TaskOptions,
    context: crate::Context,
) {
    let refused = match connector.describe().kind {
        Kind::Source => connector.sink(task, context).await.err(),
        Kind::Sink => connector
            .source(task, Positions::new(), context)
            .await
            .err(),
    };
    assert!(matches!(refused, Some(Error::Config { .. })), "{refused:?}");
}

/// Opened again at the position of any batch, a bounded source brings exactly the rest.
/// Returns all rows, as JSON or as text.
pub async fn source_resumes_anywhere(
    open: impl AsyncFn(Positions) -> Box<dyn Source>,
) -> Vec<String> {
    let (all, stops) = read(open(Positions::new()).await).await;
    for (rows_before, position) in &stops {
        let (rest, _) = read(open(position.clone()).await).await;
        assert_eq!(
            rest,
            all[*rows_before..],
            "resumed after row {rows_before} at {position:?}"
        );
    }
    all
}

/// Polls that are dropped half way lose and repeat nothing.
pub async fn source_survives_cancelled_polls(open: impl AsyncFn(Positions) -> Box<dyn Source>) {
    let (expected, _) = read(open(Positions::new()).await).await;
    let mut source = open(Positions::new()).await;
    let mut found = Vec::new();
    loop {
        let polled = match source.poll().now_or_never() {
            Some(polled) => polled,
            // That one was dropped while it waited; the next may finish.
            None => source.poll().await,
        };
        match polled.expect("the source reads on") {
            Some(batch) => found.extend(rows_of(&batch.records)),
            None => break,
        }
    }
    assert_eq!(found, expected);
}

/// After a flush every record written is named by a position, and none beyond.
pub async fn sink_names_what_it_was_given(sink: &mut dyn Sink, batches: Vec<SinkBatch>) {
    let mut expected = Positions::new();
    for batch in batches {
        expected.set_queue(&batch.topic, batch.queue, batch.next);
        let refused = sink.write(batch).await.expect("the sink takes the batch");
        assert_eq!(refused, vec![], "the batch has nothing to refuse");
    }
    let named = sink.flush().await.expect("the sink flushes");
    assert_eq!(named, expected);
    let again = sink
        .flush()
        .await
        .expect("a second flush has nothing to do");
    for (partition, offset) in again.iter() {
        assert_eq!(
            expected.get(partition),
            Some(offset),
            "a flush without writes moves nothing"
        );
    }
}

/// All rows until the source ends, and after each batch how many there were and where it stood.
async fn read(mut source: Box<dyn Source>) -> (Vec<String>, Vec<(usize, Positions)>) {
    let (mut rows, mut stops, mut position) = (Vec::new(), Vec::new(), Positions::new());
    while let Some(batch) = source.poll().await.expect("the source reads on") {
        rows.extend(rows_of(&batch.records));
        position.merge(&batch.positions);
        source
            .acknowledge(&position)
            .await
            .expect("acknowledging works");
        stops.push((rows.len(), position.clone()));
    }
    (rows, stops)
}

/// Each record as one line.
pub fn rows_of(records: &Records) -> Vec<String> {
    match records {
        Records::Bytes(records) => records
            .iter()
            .map(|record| String::from_utf8_lossy(&record.body).into_owned())
            .collect(),
        Records::Columns(batch) => {
            let mut writer = LineDelimitedWriter::new(Vec::new());
            writer
                .write(batch)
                .expect("the batch can be written as JSON");
            writer.finish().expect("the batch can be written as JSON");
            let text = String::from_utf8(writer.into_inner()).expect("JSON is UTF-8");
            text.lines().map(str::to_owned).collect()
        }
    }
}
