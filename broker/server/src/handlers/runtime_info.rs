//! The broker about itself: figures, settings, statistics.

use std::time::Duration;

use delivery::{Pulls, Schedule};
use protocol::body::{self, BrokerStats, BrokerStatsItem, KvTable};
use protocol::headers::{BrokerConfigReply, ViewBrokerStats};
use protocol::{Frame, ReadFields, Reply, ResponseCode, Version};
use store::{MessageStore, Stats};

use super::Identity;
use crate::broker_door::{Settings, Usage};
use crate::respond::Refusal;
use crate::statistics::{Growth, Rates, Span, Statistics};

/// What telling about the broker needs of it.
pub struct RuntimeInfo<'a> {
    pub identity: &'a Identity,
    pub settings: &'a Settings,
    pub store: &'a MessageStore,
    pub statistics: &'a Statistics,
    pub schedule: &'a Schedule,
    pub pulls: &'a Pulls,
    pub usage: Usage,
    pub topics_version: u64,
}

/// Spans of the rates, in seconds.
const SPANS: [u64; 3] = [10, 60, 600];
/// Requests are answered on their own connection's task: RocketMQ's thread pools are here
/// queues in which nothing waits. The capacity is what one connection may have under way.
const POOLS: [&str; 6] = ["send", "pull", "litePull", "query", "ack", "EndTransaction"];
const POOL_CAPACITY: usize = 65_536;

impl RuntimeInfo<'_> {
    /// Answers 28: every figure RocketMQ tells, under its names; tools read each as a number.
    pub async fn figures(&self) -> Result<Reply, Refusal> {
        let stats = self.store.stats();
        let mut figures = Figures::default();
        self.about_time(&mut figures).await?;
        self.about_traffic(&mut figures);
        self.about_store(&mut figures, &stats);
        self.about_limits(&mut figures);
        for (level, next, end) in self.schedule.progress() {
            if end.0 > 0 {
                let name = format!("scheduleMessageOffset_{}", level.number());
                figures.add(name, format!("{},{}", next.0, end.0));
            }
        }
        for pool in POOLS {
            if pool == "EndTransaction" {
                figures.add("EndTransactionQueueSize", 0);
                figures.add("EndTransactionThreadPoolQueueCapacity", POOL_CAPACITY);
                continue;
            }
            figures.add(format!("{pool}ThreadPoolQueueSize"), 0);
            figures.add(format!("{pool}ThreadPoolQueueCapacity"), POOL_CAPACITY);
            figures.add(format!("{pool}ThreadPoolQueueHeadWaitTimeMills"), 0);
        }
        for name in ["timerReadBehind", "timerOffsetBehind", "timerCongestNum"] {
            figures.add(name, 0);
        }
        for name in ["timerEnqueueTps", "timerDequeueTps"] {
            figures.add(name, "0.0");
        }
        figures.table.table.0.sort();
        Ok(Reply::success().body(body::encode(&figures.table)))
    }

    async fn about_time(&self, figures: &mut Figures) -> Result<(), Refusal> {
        let started = self.statistics.started();
        let running = (self.identity.clock.wall() - started).max(0) / 1_000;
        figures.add("bootTimestamp", started);
        figures.add(
            "runtime",
            format!(
                "[ {} days, {} hours, {} minutes, {} seconds ]",
                running / 86_400,
                running / 3_600 % 24,
                running / 60 % 60,
                running % 60
            ),
        );
        figures.add("startAcceptSendRequestTimeStamp", 0);
        figures.add("brokerVersion", Version::CURRENT.0);
        figures.add("brokerVersionDesc", Version::CURRENT);
        figures.add("brokerActive", self.store.refusal().is_none());
        let earliest = self.store.earliest_of_all().await?;
        figures.add(
            "earliestMessageTimeStamp",
            earliest.map_or(-1, |time| time.0),
        );
        Ok(())
    }

    fn about_traffic(&self, figures: &mut Figures) {
        let (put, got) = self.statistics.totals();
        let mornings = self.statistics.mornings();
        figures.add("msgPutTotalYesterdayMorning", mornings.put_yesterday);
        figures.add("msgPutTotalTodayMorning", mornings.put_today);
        figures.add("msgPutTotalTodayNow", put.messages);
        figures.add("msgGetTotalYesterdayMorning", mornings.got_yesterday);
        figures.add("msgGetTotalTodayMorning", mornings.got_today);
        figures.add("msgGetTotalTodayNow", got.messages);
        // Never 0: tools divide by it.
        figures.add("putMessageTimesTotal", put.calls.max(1));
        figures.add("putMessageFailedTimes", self.statistics.put_failures());
        figures.add("putMessageSizeTotal", put.bytes);
        figures.add(
            "putMessageAverageSize",
            put.bytes as f64 / put.messages.max(1) as f64,
        );
        let latency = self.statistics.put_latency();
        figures.add("putMessageDistributeTime", latency.distribution());
        figures.add("putMessageEntireTimeMax", latency.longest_ms());
        figures.add("putLatency99", format!("{}.00", latency.percentile(0.99)));
        figures.add("putLatency999", format!("{}.00", latency.percentile(0.999)));
        figures.add(
            "getMessageEntireTimeMax",
            self.pulls.longest_look().as_millis(),
        );
        let rates = SPANS.map(|span| self.statistics.rates(Duration::from_secs(span)));
        let mut tell = |name: &str, rate: fn(&Rates) -> f64| {
            let told = rates.each_ref().map(|rates| format!("{:?}", rate(rates)));
            figures.add(name, told.join(" "));
        };
        tell("putTps", |rates| rates.put);
        tell("getFoundTps", |rates| rates.found);
        tell("getMissTps", |rates| rates.missed);
        tell("getTotalTps", |rates| rates.found + rates.missed);
        tell("getTransferredTps", |rates| rates.transferred);
    }

    fn about_store(&self, figures: &mut Figures, stats: &Stats) {
        let ratio = stats.disk_used_percent().unwrap_or(0.0) / 100.0;
        let ratio = format!("{ratio:.2}");
        let folder = self.store.log_folder().display().to_string();
        figures.add(format!("commitLogDiskRatio_{folder}"), &ratio);
        figures.add("commitLogDiskRatio", &ratio);
        figures.add("consumeQueueDiskRatio", &ratio);
        if let Some(disk) = stats.disk {
            figures.add(
                "commitLogDirCapacity",
                format!(
                    "Total : {}, Free : {}.",
                    readable(disk.total),
                    readable(disk.available)
                ),
            );
        }
        figures.add("commitLogMinOffset", stats.log_min);
        figures.add("commitLogMaxOffset", stats.log_end);
        figures.add("dispatchBehindBytes", stats.dispatch_behind());
        figures.add("dispatchMaxBuffer", 0);
        figures.add("pageCacheLockTimeMills", 0);
        figures.add("remainHowManyDataToFlush", readable(stats.flush_behind()));
        // There is no pool of buffers that could run out; RocketMQ says so with this number.
        figures.add("remainTransientStoreBufferNumbs", i32::MAX);
    }

    /// What our own limits meter, which RocketMQ does not tell.
    fn about_limits(&self, figures: &mut Figures) {
        let usage = &self.usage;
        figures.add("millstream_connections", usage.connections);
        figures.add("millstream_bytesInFlight", usage.bytes_in_flight);
        figures.add("millstream_sendsWaitingBytes", usage.sends_waiting);
        figures.add("millstream_pollsHeld", usage.polls);
        for (name, count) in &usage.turned_away {
            figures.add(format!("millstream_{name}"), count);
        }
    }

    /// Answers 26: what this broker was told, under RocketMQ's names.
    pub fn settings(&self) -> Reply {
        let settings = self.settings;
        let lines = [
            (
                "autoCreateSubscriptionGroup",
                settings.auto_create_groups.to_string(),
            ),
            (
                "autoCreateTopicEnable",
                settings.auto_create_topics.to_string(),
            ),
            ("brokerClusterName", settings.cluster.clone()),
            ("brokerIP1", settings.advertised.ip().to_string()),
            ("brokerId", settings.id.to_string()),
            ("brokerName", settings.name.clone()),
            ("brokerRole", "ASYNC_MASTER".to_owned()),
            ("enablePropertyFilter", "true".to_owned()),
            ("listenPort", settings.advertised.port().to_string()),
            ("maxMessageSize", settings.body_limit.to_string()),
            ("namesrvAddr", settings.name_servers.join(";")),
            (
                "storePathCommitLog",
                self.store.log_folder().display().to_string(),
            ),
        ];
        let text: String = lines
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        let version = body::encode(&self.identity.version(self.topics_version));
        let version = String::from_utf8_lossy(&version);
        Reply::success()
            .header(&BrokerConfigReply { version: &version })
            .body(text)
    }

    /// Answers 315: one statistic over the last minute, hour and day.
    pub fn statistic(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = ViewBrokerStats::read_fields(&request.header.ext)?;
        let item = |span| {
            let growth = self.growth(header.name, header.key, span)?;
            Some(item(growth, header.name.ends_with("_SIZE")))
        };
        let (Some(stats_minute), Some(stats_hour), Some(stats_day)) =
            (item(Span::Minute), item(Span::Hour), item(Span::Day))
        else {
            return Err(Refusal::code(
                ResponseCode::SYSTEM_ERROR,
                format!("The stats <{}> <{}> not exist", header.name, header.key),
            ));
        };
        Ok(Reply::success().body(body::encode(&BrokerStats {
            stats_day,
            stats_hour,
            stats_minute,
        })))
    }

    fn growth(&self, name: &str, key: &str, span: Span) -> Option<Growth> {
        let own = key == self.identity.cluster;
        match name {
            "TOPIC_PUT_NUMS" | "TOPIC_PUT_SIZE" => self.statistics.put_of(key, span),
            "GROUP_GET_NUMS" | "GROUP_GET_SIZE" => {
                let (topic, group) = key.split_once('@')?;
                self.statistics.got_of(topic, group, span)
            }
            "SNDBCK_PUT_NUMS" => {
                let (topic, group) = key.split_once('@')?;
                self.statistics.sent_back_of(topic, group, span)
            }
            "BROKER_PUT_NUMS" => own.then(|| self.statistics.put_in_all(span)),
            "BROKER_GET_NUMS" => own.then(|| self.statistics.got_in_all(span)),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Figures {
    table: KvTable,
}

impl Figures {
    fn add(&mut self, name: impl Into<String>, value: impl ToString) {
        self.table.table.push(name.into(), value.to_string());
    }
}

fn item(growth: Growth, bytes: bool) -> BrokerStatsItem {
    let sum = match bytes {
        true => growth.count.bytes,
        false => growth.count.messages,
    };
    BrokerStatsItem {
        avgpt: sum as f64 / growth.count.calls.max(1) as f64,
        sum: sum as i64,
        tps: sum as f64 / growth.seconds.max(1.0),
    }
}

/// `0 B`, `1.5 KiB`, `58.4 GiB`.
fn readable(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let unit = bytes.ilog2() as usize / 10;
    let amount = bytes as f64 / (1u64 << (unit * 10)) as f64;
    format!("{amount:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_units_a_person_reads() {
        assert_eq!(readable(0), "0 B");
        assert_eq!(readable(1_023), "1023 B");
        assert_eq!(readable(1_536), "1.5 KiB");
        assert_eq!(readable(62_706_312_806), "58.4 GiB");
        assert_eq!(readable(u64::MAX), "16.0 EiB");
    }
}
