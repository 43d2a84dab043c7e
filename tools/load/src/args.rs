//! Owns the command line: words in, a [`Plan`] or a message out.

use crate::plan::{End, Mode, Pace, Plan};
use crate::watch::Sample;
use std::net::ToSocketAddrs;
use std::str::FromStr;
use std::time::Duration;

/// What `--help` says.
pub const USAGE: &str = "\
usage: load --addr HOST:PORT [options]

Loads a server, checks every byte of its answers, and measures how long they take.

  --mode echo|http|churn   bytes that come back; GET / that says \"Hello, World!\"; or a
                           connection for each echo (echo)
  --connections N          connections at a time (8)
  --requests N             ends after so many requests, or
  --seconds S              after this time (10)
  --size BYTES             of a request; echo and churn (64)
  --pipeline DEPTH         requests under way on a connection (1)
  --rate PER_SECOND        a fixed rate; latencies count from when a request was due
  --disconnect RATE        leaves a connection with this probability at each request (0): in the
                           request, in its answer, half-closed or by a reset; and comes back
  --watch PID              tells the memory (VmRSS) and the descriptors of the server's process:
                           after a tenth of the run, the most since then, before its end
  --seed N                 of random numbers and payloads (1)
  --json                   one line for programs
  --help                   this

Exits with 1 if an answer was wrong or anything failed that was not asked for.

  load --addr 127.0.0.1:7000 --connections 100 --seconds 5
  load --addr 127.0.0.1:8000 --mode http --pipeline 16 --requests 1000000
  load --addr 127.0.0.1:7000 --seconds 600 --disconnect 0.01 --watch $(pidof echo)";

/// What the program is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Say how it is used.
    Help,
    /// Do this, and say what came of it in this form.
    Run(Plan, Form),
}

/// In which form a report is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines for people.
    Text,
    /// A line for programs.
    Json,
}

/// Reads the words after the program's name.
///
/// # Errors
///
/// What is wrong with them.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut words = words.into_iter();
    let mut addr = None;
    let mut form = Form::Text;
    let mut ends = 0;
    let mut plan = Plan::new(([127, 0, 0, 1], 0).into(), Mode::Echo);
    while let Some(option) = words.next() {
        if option == "--help" {
            return Ok(Command::Help);
        }
        if option == "--json" {
            form = Form::Json;
            continue;
        }
        let mut value = || words.next().ok_or_else(|| format!("{option} needs a value"));
        match option.as_str() {
            "--addr" => addr = Some(value()?),
            "--mode" => plan.mode = mode(&value()?)?,
            "--connections" => plan.connections = positive(&option, &value()?)?,
            "--requests" => {
                plan.end = End::Requests(positive(&option, &value()?)?);
                ends += 1;
            }
            "--seconds" => {
                let time = Duration::try_from_secs_f64(positive(&option, &value()?)?);
                plan.end = End::After(time.map_err(|error| format!("--seconds: {error}"))?);
                ends += 1;
            }
            "--size" => plan.size = positive(&option, &value()?)?,
            "--pipeline" => plan.pipeline = positive(&option, &value()?)?,
            "--rate" => plan.pace = Pace::PerSecond(positive(&option, &value()?)?),
            "--disconnect" => plan.disconnect = number(&option, &value()?)?,
            "--seed" => plan.seed = number(&option, &value()?)?,
            "--watch" => plan.watch = Some(number(&option, &value()?)?),
            _ => return Err(format!("there is no option {option}")),
        }
    }
    if ends > 1 {
        return Err("--requests and --seconds both say when it ends: give one".into());
    }
    if !(0.0..=1.0).contains(&plan.disconnect) {
        return Err(format!("--disconnect is a probability, from 0 to 1: not {}", plan.disconnect));
    }
    if plan.mode == Mode::Churn && plan.pipeline > 1 {
        return Err(
            "--pipeline has no meaning where a connection has one request: leave it out, or --mode churn".into()
        );
    }
    if let Some(pid) = plan.watch {
        Sample::of(pid).map_err(|error| format!("--watch {pid}: {error}"))?;
    }
    let addr = addr.ok_or("which server? give --addr HOST:PORT")?;
    let mut found = addr.to_socket_addrs().map_err(|error| format!("--addr {addr}: {error}"))?;
    plan.addr = found.next().ok_or_else(|| format!("--addr {addr}: the name has no address"))?;
    Ok(Command::Run(plan, form))
}

fn mode(name: &str) -> Result<Mode, String> {
    let named = [Mode::Echo, Mode::Http, Mode::Churn].into_iter().find(|mode| mode.to_string() == name);
    named.ok_or_else(|| format!("--mode is echo, http or churn: not {name}"))
}

fn number<T: FromStr>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{option} is a number: not {value}"))
}

fn positive<T: FromStr + PartialOrd + Default>(option: &str, value: &str) -> Result<T, String> {
    let number: T = number(option, value)?;
    if number > T::default() { Ok(number) } else { Err(format!("{option} is more than 0: not {value}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_string))
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let plan = Plan::new("127.0.0.1:7000".parse().unwrap(), Mode::Echo);
        assert_eq!(parsed("--addr 127.0.0.1:7000"), Ok(Command::Run(plan, Form::Text)));
    }

    #[test]
    fn every_option_is_heard() {
        let pid = std::process::id();
        let line = format!(
            "--addr [::1]:80 --mode http --connections 3 --seconds 0.5 --size 9 --pipeline 4 --rate 1e3 \
             --disconnect 0.25 --seed 18446744073709551615 --watch {pid} --json"
        );
        let plan = Plan {
            addr: "[::1]:80".parse().unwrap(),
            mode: Mode::Http,
            connections: 3,
            end: End::After(Duration::from_millis(500)),
            size: 9,
            pipeline: 4,
            pace: Pace::PerSecond(1000.0),
            disconnect: 0.25,
            seed: u64::MAX,
            watch: Some(pid),
        };
        assert_eq!(parsed(&line), Ok(Command::Run(plan, Form::Json)));
        let requests = parsed("--addr 127.0.0.1:1 --requests 12 --mode churn").unwrap();
        assert!(matches!(requests, Command::Run(Plan { end: End::Requests(12), mode: Mode::Churn, .. }, Form::Text)));
        assert_eq!(parsed("--addr x --help"), Ok(Command::Help));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (line, named) in [
            ("", "--addr"),
            ("--addr", "--addr"),
            ("--addr nonsense", "nonsense"),
            ("--addr 127.0.0.1:99999", "127.0.0.1:99999"),
            ("--speed 3", "--speed"),
            ("--connections 0", "--connections"),
            ("--connections -1", "--connections"),
            ("--requests many", "many"),
            ("--requests 1 --seconds 1", "--seconds"),
            ("--seconds 0", "--seconds"),
            ("--seconds NaN", "--seconds"),
            ("--seconds 1e300", "--seconds"),
            ("--rate -2", "--rate"),
            ("--disconnect 1.5", "--disconnect"),
            ("--disconnect NaN", "--disconnect"),
            ("--mode smtp", "smtp"),
            ("--watch 4294967295", "--watch 4294967295: No such file"),
            ("--watch echo", "--watch"),
            ("--mode churn --pipeline 2", "--pipeline"),
        ] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains(named), "{line:?}: {message}");
        }
    }
}
