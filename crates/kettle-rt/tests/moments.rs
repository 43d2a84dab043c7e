//! Moments by the loop's clock: std's, and interchangeable with std's.

use kettle_rt::{EventLoop, Instant, deadline, sleep_until};
use std::collections::HashSet;
use std::io;
use std::time::{self, Duration};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_moment_is_stds_and_back() {
    let stds = time::Instant::now();
    let ours = Instant::from(stds);
    assert_eq!(time::Instant::from(ours), stds);
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    assert_eq!((ours + HOUR).duration_since(stds), HOUR);
    assert!(Instant::now() >= ours && time::Instant::now() >= stds);
}

#[test]
fn arithmetic_is_stds() {
    let start = Instant::now();
    let mut later = start;
    later += HOUR;
    assert_eq!(later, start + HOUR);
    assert_eq!(later - start, HOUR);
    assert_eq!(start - later, Duration::ZERO);
    assert_eq!(start.duration_since(later), Duration::ZERO);
    assert_eq!(start.saturating_duration_since(later), Duration::ZERO);
    assert_eq!(start.checked_duration_since(later), None);
    assert_eq!(later.checked_duration_since(start), Some(HOUR));
    assert_eq!(later - HOUR, start);
    later -= HOUR;
    assert_eq!(later, start);
    assert_eq!(start.checked_add(HOUR).and_then(|later| later.checked_sub(HOUR)), Some(start));
    assert_eq!(start.checked_add(Duration::MAX), None);
    assert!(start < start + HOUR);
    assert_eq!(HashSet::from([start, start, start + HOUR]).len(), 2);
}

#[test]
fn what_takes_a_moment_takes_either() -> io::Result<()> {
    EventLoop::new()?.run(|| {
        sleep_until(Instant::now());
        sleep_until(time::Instant::now());
        assert!(deadline(Instant::now() + HOUR, || ()).is_ok());
        assert!(deadline(time::Instant::now() + HOUR, || ()).is_ok());
    });
    Ok(())
}
