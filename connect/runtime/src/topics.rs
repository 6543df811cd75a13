//! The topics each connector has used: noted at their first record, kept with the broker, and
//! forgotten when somebody says so.

use model::Topic;

use crate::Error;
use crate::broker::Broker;
use crate::status::Board;

/// Where they are kept, as `connector/topic`. No name has a slash in it.
const TOPICS: &str = "CONNECT_TOPICS";

/// Notes that a record went to or came from a topic.
pub(crate) async fn note(broker: &dyn Broker, board: &Board, connector: &str, topic: &Topic) {
    if !board.uses_topic(connector, topic.as_str()) {
        return;
    }
    let key = format!("{connector}/{topic}");
    if let Err(error) = broker.put_record(TOPICS, &key, topic.as_str()).await {
        tracing::debug!(connector, %topic, %error, "the use of a topic is known to this process only");
    }
}

/// Shows what earlier processes have noted.
pub(crate) async fn restore(broker: &dyn Broker, board: &Board) -> Result<(), Error> {
    for key in broker.records(TOPICS).await?.into_keys() {
        if let Some((connector, topic)) = key.split_once('/') {
            board.uses_topic(connector, topic);
        }
    }
    Ok(())
}

/// Forgets the topics of one connector; the next record of one counts as its first.
pub(crate) async fn forget(
    broker: &dyn Broker,
    board: &Board,
    connector: &str,
) -> Result<(), Error> {
    let mut used = Vec::new();
    board.change(connector, |status| {
        used = std::mem::take(&mut status.topics).into_iter().collect();
    });
    for topic in used {
        let key = format!("{connector}/{topic}");
        broker.remove_record(TOPICS, &key).await?;
    }
    Ok(())
}
