//! What the supervisor decides, without a process and without time passing.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use super::*;
use std::os::unix::process::ExitStatusExt;

const SECOND: Duration = Duration::from_secs(1);

/// A crew whose starts succeed at once, and its clock.
struct World {
    crew: Crew,
    now: Instant,
    ids: Vec<Id>,
}

impl World {
    fn new(count: usize) -> Self {
        let rules = Rules {
            count,
            ready_within: 60 * SECOND,
            drain_within: 30 * SECOND,
            first_delay: SECOND,
            most_delay: 3 * SECOND,
            most_deaths: 5,
            window: 100 * SECOND,
        };
        let mut world = Self { crew: Crew::new(rules), now: Instant::now(), ids: Vec::new() };
        world.act();
        world
    }

    /// One whose workers serve.
    fn serving(count: usize) -> Self {
        let mut world = Self::new(count);
        for id in world.ids.clone() {
            world.crew.ready(id, world.now);
        }
        world.act();
        world
    }

    /// Does what is to be done, and gives it, but for what is said.
    fn act(&mut self) -> Vec<Action> {
        let mut done = Vec::new();
        while let Some(action) = self.crew.next_action() {
            if let Action::Start(index, version) = action {
                self.ids.push(self.crew.started(index, version, 100 + self.ids.len() as u32, self.now));
            }
            if !matches!(action, Action::Say(_)) {
                done.push(action);
            }
        }
        done
    }

    fn dies(&mut self, id: Id) -> Vec<Action> {
        self.crew.exited(id, ExitStatus::from_raw(9), self.now);
        self.act()
    }

    fn ends(&mut self, id: Id) -> Vec<Action> {
        self.crew.exited(id, ExitStatus::from_raw(0), self.now);
        self.act()
    }

    fn ready(&mut self, id: Id) -> Vec<Action> {
        self.crew.ready(id, self.now);
        self.act()
    }

    fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.crew.tick(self.now);
        self.act()
    }

    fn last(&self) -> Id {
        *self.ids.last().unwrap()
    }

    fn states(&self) -> Vec<(usize, State)> {
        self.crew.status(self.now).workers.iter().map(|worker| (worker.index, worker.state)).collect()
    }
}

#[test]
fn the_first_death_is_answered_at_once_and_others_after_a_delay_that_doubles() {
    let mut world = World::serving(2);
    assert_eq!(world.dies(world.ids[1]), [Action::Start(1, Version::Current)]);
    for delay in [SECOND, 2 * SECOND, 3 * SECOND] {
        assert_eq!(world.dies(world.last()), []);
        assert_eq!(world.states(), [(0, State::Ready), (1, State::Waiting)]);
        assert_eq!(world.crew.deadline(), Some(world.now + delay));
        assert_eq!(world.pass(delay - Duration::from_nanos(1)), []);
        assert_eq!(world.pass(Duration::from_nanos(1)), [Action::Start(1, Version::Current)]);
    }
    // Deaths are forgotten in time.
    world.ready(world.last());
    world.pass(101 * SECOND);
    assert_eq!(world.dies(world.last()), [Action::Start(1, Version::Current)]);
    assert_eq!(world.crew.status(world.now).workers[1].restarts, 5);
}

#[test]
fn who_is_to_wait_for_ever_is_not_started_again() {
    let mut world = World::serving(2);
    (world.crew.rules.first_delay, world.crew.rules.most_delay) = (Duration::MAX, Duration::MAX);
    world.dies(world.ids[0]);
    assert_eq!(world.dies(world.last()), []);
    world.crew.leaving(world.ids[1], world.now);
    world.act();
    assert_eq!(world.ends(world.ids[1]), []);
    assert_eq!(world.crew.deadline(), None);
    assert_eq!(world.states(), [(0, State::Waiting), (1, State::Waiting)]);
}

#[test]
fn a_crash_loop_ends_the_others_and_says_how_the_last_one_died() {
    let mut world = World::serving(2);
    let other = world.ids[0];
    world.dies(world.ids[1]);
    for _ in 0..4 {
        world.dies(world.last());
        world.pass(3 * SECOND);
    }
    assert!(world.crew.end().is_none());
    assert_eq!(world.dies(world.last()), [Action::Drain(other)]);
    assert!(world.crew.end().is_none(), "the others finish first");
    world.ends(other);
    let Some(Err(Failure::CrashLoop(crashes))) = world.crew.end() else { panic!("no crash loop") };
    let text = "worker 1 has died 6 times within 100s, the last time by: signal: 9 (SIGKILL)";
    assert_eq!(crashes.to_string(), text);
    assert_eq!(crashes.last.status().unwrap().signal(), Some(9));
}

#[test]
fn deaths_of_different_workers_are_no_crash_loop() {
    let mut world = World::serving(100);
    for id in world.ids.clone() {
        assert_eq!(world.dies(id).len(), 1);
    }
    assert!(world.crew.end().is_none());
}

#[test]
fn who_ends_unasked_has_died() {
    let mut world = World::serving(1);
    assert_eq!(world.ends(world.ids[0]), [Action::Start(0, Version::Current)]);
    let mut others = 0;
    while world.crew.end().is_none() {
        world.ends(world.last());
        world.pass(3 * SECOND);
        others += 1;
    }
    assert_eq!(others, 5);
}

#[test]
fn who_is_not_ready_in_time_is_killed_and_has_died() {
    let mut world = World::new(1);
    assert_eq!(world.pass(59 * SECOND), []);
    assert_eq!(world.pass(SECOND), [Action::Kill(world.ids[0])]);
    assert_eq!(world.pass(SECOND), [], "once");
    assert_eq!(world.dies(world.ids[0]), [Action::Start(0, Version::Current)]);
}

#[test]
fn who_can_t_be_started_is_tried_again_and_then_given_up() {
    let mut world = World::serving(1);
    world.crew.exited(world.ids[0], ExitStatus::from_raw(9), world.now);
    let mut tries = 0;
    while world.crew.end().is_none() {
        match world.crew.next_action() {
            Some(Action::Start(index, version)) => {
                tries += 1;
                world.crew.not_started(index, version, &std::io::Error::other("no memory"), world.now);
            }
            Some(_) => {}
            None => {
                world.now += 3 * SECOND;
                world.crew.tick(world.now);
            }
        }
    }
    assert_eq!(tries, 5);
    let Some(Err(failure @ Failure::CrashLoop(_))) = world.crew.end() else { panic!("no crash loop") };
    let error = super::super::Error::from(failure);
    assert!(error.is_crash_loop() && error.exit_status().is_none());
    assert!(error.to_string().ends_with("it could not be started: no memory"), "{error}");
}

#[test]
fn a_reload_ends_those_before_it_only_when_all_new_ones_are_ready() {
    let mut world = World::serving(2);
    world.crew.reload();
    let next = |index| Action::Start(index, Version::Next);
    assert_eq!(world.act(), [Action::FindNext, next(0), next(1)]);
    let [old0, old1, new0, new1] = world.ids[..] else { panic!() };
    assert_eq!(world.ready(new1), []);
    // Those before it are looked after meanwhile.
    assert_eq!(world.dies(old0), [Action::Start(0, Version::Current)]);
    let older = world.last();
    assert_eq!(world.ready(new0), [Action::Adopt, Action::Drain(old1), Action::Drain(older)]);
    assert!(world.crew.status(world.now).is_healthy());
    assert_eq!(world.crew.status(world.now).reloads, 1);
    // What ends now was asked to.
    assert_eq!(world.ends(old1), []);
    assert_eq!(world.dies(older), []);
    assert_eq!(world.dies(new1), [Action::Start(1, Version::Current)], "the new ones are the current ones");
}

#[test]
fn a_reload_whose_workers_die_changes_nothing() {
    let mut world = World::serving(2);
    world.crew.reload();
    world.act();
    let [old0, _, new0, new1] = world.ids[..] else { panic!() };
    world.ready(new0);
    assert_eq!(world.dies(new1), [Action::Drain(new0)]);
    assert_eq!(world.ends(new0), []);
    assert_eq!(world.states(), [(0, State::Ready), (1, State::Ready)]);
    assert_eq!(world.crew.status(world.now).reloads, 0);
    assert_eq!(world.dies(old0), [Action::Start(0, Version::Current)]);
    // The next one may succeed.
    world.crew.reload();
    assert_eq!(world.act().len(), 3);
}

#[test]
fn a_reload_that_finds_no_executable_starts_nobody() {
    let mut world = World::serving(2);
    world.crew.reload();
    assert_eq!(world.crew.next_action(), Some(Action::FindNext));
    world.crew.give_up("no such file", world.now);
    assert_eq!(world.act(), []);
    assert_eq!(world.states(), [(0, State::Ready), (1, State::Ready)]);
}

#[test]
fn a_reload_during_a_reload_is_done_once_afterwards() {
    let mut world = World::serving(1);
    world.crew.reload();
    world.act();
    world.crew.reload();
    world.crew.reload();
    assert_eq!(world.act(), []);
    let (old, new) = (world.ids[0], world.last());
    let again = [Action::Adopt, Action::Drain(old), Action::FindNext, Action::Start(0, Version::Next)];
    assert_eq!(world.ready(new), again);
    assert_eq!(world.ready(world.last()), [Action::Adopt, Action::Drain(new)]);
    assert_eq!(world.crew.status(world.now).reloads, 2);
}

#[test]
fn stopping_waits_for_all_and_kills_who_is_late() {
    let mut world = World::serving(2);
    world.crew.reload();
    world.crew.stop(world.now);
    let [one, other] = world.ids[..] else { panic!() };
    assert_eq!(world.act(), [Action::Drain(one), Action::Drain(other)], "nobody is started any more");
    world.crew.reload();
    assert_eq!(world.ends(one), []);
    assert_eq!(world.pass(30 * SECOND), [Action::Kill(other)]);
    assert!(world.crew.end().is_none());
    world.dies(other);
    assert!(matches!(world.crew.end(), Some(Ok(()))));
}

#[test]
fn stopping_during_the_start_ends_who_has_been_started() {
    let mut world = World::new(2);
    let [one, other] = world.ids[..] else { panic!() };
    world.crew.stop(world.now);
    assert_eq!(world.act(), [Action::Drain(one), Action::Drain(other)]);
    assert_eq!(world.ready(one), [], "too late");
    world.dies(one);
    world.ends(other);
    assert!(matches!(world.crew.end(), Some(Ok(()))));
}

#[test]
fn stopping_while_one_waits_to_be_started_again_does_not_start_it() {
    let mut world = World::serving(1);
    world.dies(world.ids[0]);
    world.dies(world.last());
    world.crew.stop(world.now);
    assert_eq!(world.pass(3 * SECOND), []);
    assert!(matches!(world.crew.end(), Some(Ok(()))));
}

#[test]
fn who_has_ended_while_others_finish_does_not_wait_to_be_started() {
    let mut world = World::serving(3);
    // The second time it waits.
    world.dies(world.ids[2]);
    world.dies(world.last());
    world.pass(SECOND / 2);
    world.crew.stop(world.now);
    world.act();
    world.pass(SECOND);
    world.ends(world.ids[0]);
    world.pass(SECOND);
    assert_eq!(world.states(), [(0, State::Ended), (1, State::Draining), (2, State::Ended)]);
    let status = world.crew.status(world.now);
    assert!(!status.is_healthy());
    let elapsed: Vec<_> = status.workers.iter().map(|worker| worker.elapsed).collect();
    assert_eq!(elapsed, [SECOND, 2 * SECOND, 5 * SECOND / 2]);
    assert!(status.to_string().contains("; worker 0 ended 1 s, 0 restarts; "), "{status}");
}

#[test]
fn stopping_twice_kills_everybody() {
    let mut world = World::serving(2);
    let [one, other] = world.ids[..] else { panic!() };
    world.crew.stop(world.now);
    world.act();
    world.crew.stop(world.now);
    assert_eq!(world.act(), [Action::Kill(one), Action::Kill(other)]);
    world.dies(one);
    world.dies(other);
    assert!(matches!(world.crew.end(), Some(Err(Failure::Forced))));
}

#[test]
fn who_leaves_by_himself_is_replaced_and_has_not_died() {
    let mut world = World::serving(1);
    for _ in 0..20 {
        let id = world.last();
        world.crew.leaving(id, world.now);
        assert_eq!(world.act(), [Action::Drain(id)]);
        assert_eq!(world.pass(SECOND), [Action::Start(0, Version::Current)]);
        world.ready(world.last());
        assert_eq!(world.ends(id), []);
    }
    assert!(world.crew.end().is_none());
}

#[test]
fn if_all_were_told_to_end_nobody_is_replaced() {
    let mut world = World::serving(2);
    for id in world.ids.clone() {
        world.crew.leaving(id, world.now);
    }
    world.crew.stop(world.now);
    world.act();
    assert_eq!(world.pass(SECOND), []);
    for id in world.ids.clone() {
        world.ends(id);
    }
    assert!(matches!(world.crew.end(), Some(Ok(()))));
}
