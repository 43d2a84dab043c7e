//! Owns what came of a run: the counts, the latencies, and how both are written.

use crate::plan::{Leave, Mode, Plan};
use crate::watch::Watched;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::io;
use std::time::Duration;

/// The longest latency that is told from longer ones, in nanoseconds.
const HOUR: u64 = 3_600_000_000_000;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// From the beginning to the last answer.
    pub elapsed: Duration,
    /// Connections that were opened.
    pub connections: u64,
    /// Requests that were answered as they should.
    pub answered: u64,
    /// Bytes of these answers: payloads of echoes, whole answers of HTTP.
    pub bytes: u64,
    /// Connections that were left on purpose before the run was over, by how.
    pub left: BTreeMap<Leave, u64>,
    /// Requests whose connection ended before their answer.
    pub unanswered: u64,
    /// What went wrong without having been asked for, and how often.
    pub errors: BTreeMap<Failure, u64>,
    /// Nanoseconds from when a request was made, or was due, to the last byte of its answer.
    pub latency: Histogram<u64>,
    /// What the server's process had, if it was watched.
    pub watched: Option<Watched>,
}

/// How a connection fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// It could not be opened.
    Connect(Cause),
    /// Reading failed.
    Read(Cause),
    /// Writing failed.
    Write(Cause),
    /// The server ended it while there was more to ask or to answer.
    Closed,
    /// Nothing came for a long time.
    Silent,
    /// An answer was not what it should be, or nobody had asked for it.
    Wrong,
}

/// What tells one error of the system from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    kind: io::ErrorKind,
    code: Option<i32>,
}

impl From<&io::Error> for Cause {
    fn from(error: &io::Error) -> Self {
        Self { kind: error.kind(), code: error.raw_os_error() }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code).fmt(f),
            None => self.kind.fmt(f),
        }
    }
}

impl Report {
    /// One of nothing.
    pub fn new() -> Self {
        Self {
            elapsed: Duration::ZERO,
            connections: 0,
            answered: 0,
            bytes: 0,
            left: BTreeMap::new(),
            unanswered: 0,
            errors: BTreeMap::new(),
            latency: Histogram::new_with_max(HOUR, 3).expect("invariant: these bounds are allowed"),
            watched: None,
        }
    }

    /// Counts a connection that was left.
    pub fn leave(&mut self, how: Leave) {
        *self.left.entry(how).or_default() += 1;
    }

    /// Connections that were left on purpose, in any way.
    pub fn disconnects(&self) -> u64 {
        self.left.values().sum()
    }

    /// Counts a failure.
    pub fn fail(&mut self, failure: Failure) {
        *self.errors.entry(failure).or_default() += 1;
    }

    /// Whether nothing went wrong that was not asked for.
    pub fn is_good(&self) -> bool {
        self.errors.is_empty()
    }

    /// Answers in a second.
    pub fn per_second(&self) -> f64 {
        per_second(self.answered, self.elapsed)
    }

    /// Lines for people.
    pub fn text(&self, plan: &Plan, driver: impl fmt::Display) -> String {
        let Plan { mode, addr, connections, size, pipeline, .. } = plan;
        let asked = match mode {
            Mode::Http => "GET /".to_string(),
            Mode::Echo | Mode::Churn => format!("{size} bytes"),
        };
        let mut text =
            format!("{mode} on {addr}, {connections} connections, {asked}, pipeline {pipeline}, by {driver}\n");
        let mut line = |words: fmt::Arguments<'_>| writeln!(text, "{words}").expect("invariant: memory takes it all");
        line(format_args!(
            "{} answers in {:.2} s: {:.0} a second, {:.1} MB a second",
            self.answered,
            self.elapsed.as_secs_f64(),
            self.per_second(),
            per_second(self.bytes, self.elapsed) / 1e6
        ));
        let [p50, p90, p99, p999, max] = self.percentiles().map(|(_, time)| Duration::from_nanos(time));
        line(format_args!("latency: p50 {p50:.1?}, p90 {p90:.1?}, p99 {p99:.1?}, p99.9 {p999:.1?}, max {max:.1?}"));
        line(format_args!("{} connections opened", self.connections));
        if !self.left.is_empty() {
            let ways = self.left.iter().map(|(how, count)| format!("{count} {how}")).collect::<Vec<_>>().join(", ");
            line(format_args!("{} left on purpose: {ways}", self.disconnects()));
        }
        if self.unanswered > 0 {
            line(format_args!("{} requests without an answer", self.unanswered));
        }
        if let Some(Watched { first, most, last }) = self.watched {
            line(format_args!(
                "server: {} KiB at first, at most {}, at last {}",
                first.memory, most.memory, last.memory
            ));
            let (first, most, last) = (first.descriptors, most.descriptors, last.descriptors);
            line(format_args!("server: {first} descriptors at first, at most {most}, at last {last}"));
        }
        if self.errors.is_empty() {
            line(format_args!("no errors"));
        }
        for (failure, count) in &self.errors {
            line(format_args!("ERROR: {failure}: {count}"));
        }
        text
    }

    /// One line for programs: a JSON object.
    pub fn json(&self, plan: &Plan, driver: impl fmt::Display) -> String {
        // No name or value here has a character that JSON would have escaped.
        let list = |pairs: &mut dyn Iterator<Item = (String, u64)>| {
            pairs.map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",")
        };
        let latency = list(&mut self.percentiles().into_iter().map(|(name, time)| (name.to_string(), time)));
        let errors = list(&mut self.errors.iter().map(|(failure, count)| (failure.to_string(), *count)));
        let left = list(&mut self.left.iter().map(|(how, count)| (how.to_string(), *count)));
        let Plan { mode, size, pipeline, connections, .. } = plan;
        let Self { answered, bytes, unanswered, .. } = self;
        let disconnects = self.disconnects();
        let watched = self.watched.map_or(String::new(), |Watched { first, most, last }| {
            let samples =
                [("first", first), ("most", most), ("last", last)].map(|(name, sample)| (name.to_string(), sample));
            let memory = list(&mut samples.iter().map(|(name, sample)| (name.clone(), sample.memory)));
            let descriptors = list(&mut samples.iter().map(|(name, sample)| (name.clone(), sample.descriptors)));
            format!(",\"server_kib\":{{{memory}}},\"server_descriptors\":{{{descriptors}}}")
        });
        format!(
            "{{\"mode\":\"{mode}\",\"driver\":\"{driver}\",\"connections\":{connections},\"size\":{size},\
             \"pipeline\":{pipeline},\"seconds\":{:.6},\"answered\":{answered},\"per_second\":{:.1},\"bytes\":{bytes},\
             \"opened\":{},\"disconnects\":{disconnects},\"left\":{{{left}}},\"unanswered\":{unanswered},\
             \"latency_ns\":{{{latency}}},\"errors\":{{{errors}}}{watched}}}",
            self.elapsed.as_secs_f64(),
            self.per_second(),
            self.connections,
        )
    }

    fn percentiles(&self) -> [(&'static str, u64); 5] {
        let at = |quantile| self.latency.value_at_quantile(quantile);
        [("p50", at(0.5)), ("p90", at(0.9)), ("p99", at(0.99)), ("p99.9", at(0.999)), ("max", self.latency.max())]
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(cause) => write!(f, "connect: {cause}"),
            Self::Read(cause) => write!(f, "read: {cause}"),
            Self::Write(cause) => write!(f, "write: {cause}"),
            Self::Closed => f.write_str("closed by the server"),
            Self::Silent => f.write_str("no answer"),
            Self::Wrong => f.write_str("wrong answer"),
        }
    }
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { count as f64 / elapsed.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Sample;

    fn report() -> (Plan, Report) {
        let mut report = Report { elapsed: Duration::from_secs(2), answered: 1000, bytes: 64_000, ..Report::new() };
        for microseconds in 1..=1000 {
            report.latency.record(microseconds * 1000).unwrap();
        }
        (Plan::new("127.0.0.1:7000".parse().unwrap(), Mode::Echo), report)
    }

    #[test]
    fn people_are_told_rates_and_percentiles() {
        let (plan, report) = report();
        let text = report.text(&plan, "uring");
        assert!(text.contains("1000 answers in 2.00 s: 500 a second, 0.0 MB a second\n"), "{text}");
        assert!(text.contains("p50 500.") && text.contains("p99 990.") && text.contains("max 1.0ms"), "{text}");
        assert!(text.ends_with("no errors\n"));
    }

    #[test]
    fn errors_are_told_by_kind_and_spoil_it() {
        let (plan, mut report) = report();
        assert!(report.is_good());
        report.fail(Failure::Wrong);
        report.fail(Failure::Read(Cause::from(&io::Error::from_raw_os_error(2))));
        report.fail(Failure::Connect(Cause::from(&io::Error::from(io::ErrorKind::TimedOut))));
        report.fail(Failure::Wrong);
        assert!(!report.is_good());
        let text = report.text(&plan, "epoll");
        assert!(text.contains("ERROR: wrong answer: 2\n") && text.contains("ERROR: connect: timed out: 1\n"), "{text}");
        // Where there is a number, it tells more than the kind.
        assert!(text.contains("ERROR: read: No such file or directory (os error 2): 1\n"), "{text}");
        let json = report.json(&plan, "epoll");
        assert!(
            json.contains("\"errors\":{\"connect: timed out\":1,") && json.ends_with(",\"wrong answer\":2}}"),
            "{json}"
        );
        assert!(
            json.contains("\"mode\":\"echo\",\"driver\":\"epoll\"") && json.contains("\"per_second\":500.0"),
            "{json}"
        );
        assert!(!json.contains('\n'));
    }

    #[test]
    fn what_was_watched_is_told() {
        let (plan, mut report) = report();
        let sample = |memory| Sample { memory, descriptors: memory / 100 };
        report.watched = Some(Watched { first: sample(1000), most: sample(3000), last: sample(2000) });
        let text = report.text(&plan, "uring");
        let lines = "server: 1000 KiB at first, at most 3000, at last 2000\n\
                     server: 10 descriptors at first, at most 30, at last 20\n";
        assert!(text.contains(lines), "{text}");
        let json = report.json(&plan, "uring");
        let rest = ",\"errors\":{},\"server_kib\":{\"first\":1000,\"most\":3000,\"last\":2000},\
                    \"server_descriptors\":{\"first\":10,\"most\":30,\"last\":20}}";
        assert!(json.ends_with(rest), "{json}");
    }

    #[test]
    fn connections_that_were_left_are_told_by_how_and_spoil_nothing() {
        let (plan, mut report) = report();
        for how in [Leave::Reset, Leave::InAnswer, Leave::Reset] {
            report.leave(how);
        }
        assert!(report.is_good());
        let text = report.text(&plan, "uring");
        assert!(text.contains("\n3 left on purpose: 1 in an answer, 2 reset\n"), "{text}");
        let json = report.json(&plan, "uring");
        assert!(json.contains("\"disconnects\":3,\"left\":{\"in an answer\":1,\"reset\":2},"), "{json}");
    }

    #[test]
    fn a_run_without_answers_has_figures_too() {
        let plan = Plan::new("127.0.0.1:7000".parse().unwrap(), Mode::Http);
        assert!(Report::new().text(&plan, "uring").contains("0 answers in 0.00 s: 0 a second"));
    }
}
