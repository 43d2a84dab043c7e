//! What is chosen where nobody was promised which.

use kettle_rt::{EventLoop, choose};
use std::io;
use std::panic::catch_unwind;

/// Whether each of five things is chosen before long.
fn all_are_chosen() -> bool {
    let mut chosen = [false; 5];
    for _ in 0..10_000 {
        chosen[choose(5)] = true;
    }
    chosen == [true; 5]
}

#[test]
fn each_is_chosen_before_long_in_a_loop_and_outside() -> io::Result<()> {
    assert!(all_are_chosen());
    assert!(EventLoop::new()?.run(all_are_chosen));
    Ok(())
}

#[test]
fn the_only_one_is_chosen() {
    assert_eq!(choose(1), 0);
}

#[test]
fn nothing_to_choose_from_is_a_panic() {
    assert!(catch_unwind(|| choose(0)).is_err());
}
