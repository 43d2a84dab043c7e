//! Owns what a simulation is repeated by: a seed, and if it was shortened the choices that are not the first. As text it
//! is what `KETTLE_SEED` has.
//!
//! ```text
//!   17              seed 17
//!   17:12=1,40=2    its network and its times; the 12th choice is the second thing, the 40th the third, all others the first
//! ```
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::str::FromStr;

/// The environment variable that has one.
pub(crate) const VARIABLE: &str = "KETTLE_SEED";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) seed: u64,
    /// Which choice is what, in ascending order. `None`: the seed decides.
    pub(crate) schedule: Option<Vec<(u64, usize)>>,
}

impl Replay {
    /// What the environment asks for, if it does.
    ///
    /// # Errors
    ///
    /// If it isn't one.
    pub(crate) fn from_environment() -> io::Result<Option<Self>> {
        match std::env::var_os(VARIABLE) {
            Some(text) if !text.is_empty() => {
                let replay = text.to_str().and_then(|text| text.parse().ok());
                let error = || {
                    let message = format!("read {VARIABLE}: {text:?} is no seed, such as `17` or `17:12=1,40=2`");
                    io::Error::new(io::ErrorKind::InvalidInput, message)
                };
                replay.map(Some).ok_or_else(error)
            }
            _ => Ok(None),
        }
    }
}

impl From<u64> for Replay {
    fn from(seed: u64) -> Self {
        Self { seed, schedule: None }
    }
}

/// It is no seed.
#[derive(Debug)]
pub(crate) struct NoSeed;

impl FromStr for Replay {
    type Err = NoSeed;

    fn from_str(text: &str) -> Result<Self, NoSeed> {
        let (seed, schedule) = text.split_once(':').map_or((text, None), |(seed, schedule)| (seed, Some(schedule)));
        let choice = |text: &str| {
            let (step, index) = text.split_once('=').ok_or(NoSeed)?;
            Ok((step.parse().map_err(|_| NoSeed)?, index.parse().map_err(|_| NoSeed)?))
        };
        let schedule = schedule.map(|schedule| match schedule {
            "" => Ok(Vec::new()),
            choices => choices.split(',').map(choice).collect::<Result<Vec<_>, NoSeed>>(),
        });
        let schedule = schedule.transpose()?;
        if schedule.as_ref().is_some_and(|schedule| !schedule.is_sorted_by(|one, other| one.0 < other.0)) {
            return Err(NoSeed);
        }
        Ok(Self { seed: seed.parse().map_err(|_| NoSeed)?, schedule })
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        for (place, (step, index)) in self.schedule.iter().flatten().enumerate() {
            write!(f, "{}{step}={index}", if place == 0 { ':' } else { ',' })?;
        }
        if self.schedule.as_ref().is_some_and(Vec::is_empty) {
            f.write_str(":")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        for text in ["0", "18446744073709551615", "17:", "17:12=1", "17:12=1,40=2"] {
            assert_eq!(text.parse::<Replay>().ok().map(|replay| replay.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn other_text_is_no_seed() {
        for text in ["", "-1", "x", "17:12", "17:=1", "17:40=2,12=1", "17:12=1,12=2", "17:12=1,"] {
            assert!(text.parse::<Replay>().is_err(), "{text}");
        }
    }
}
