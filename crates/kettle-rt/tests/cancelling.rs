//! Cancel scopes: what is inside ends, what is outside goes on, and who asks is told why.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::{
    Cancelled, EventLoop, Instant, Reason, cancel_scope, deadline, now, park, pass, scope, shield, sleep, spawn,
    timeout, yield_now,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const FOREVER: Duration = Duration::MAX;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

fn reason<T>(result: Result<T, Cancelled>) -> Reason {
    result.err().unwrap().reason()
}

#[test]
fn a_scope_that_nobody_cancels_gives_what_its_function_returns() {
    run(|| {
        assert_eq!(cancel_scope(|_| 7), Ok(7));
        assert_eq!(timeout(FOREVER, || 7), Ok(7));
        yield_now();
    });
}

#[test]
fn cancelling_is_heard_at_the_next_checkpoint() {
    run(|| {
        let mut said = Vec::new();
        let cancelled = cancel_scope(|scope| {
            scope.cancel();
            assert!(scope.is_cancelled());
            said.push("still here");
            yield_now();
            said.push("not any more");
        });
        assert_eq!(reason(cancelled), Reason::Explicit);
        assert_eq!(said, ["still here"]);
        yield_now();
    });
}

#[test]
fn a_function_that_is_done_gives_its_result_although_it_was_cancelled() {
    run(|| {
        assert_eq!(
            cancel_scope(|scope| {
                scope.cancel();
                7
            }),
            Ok(7)
        );
        assert_eq!(timeout(Duration::ZERO, || 7), Ok(7));
    });
}

#[test]
fn every_checkpoint_raises_again_until_the_scope_is_left() {
    run(|| {
        let mut raised = 0;
        let cancelled = cancel_scope(|scope| {
            scope.cancel();
            for _ in 0..3 {
                let checkpoint: [fn(); 3] = [yield_now, park, || sleep(FOREVER)];
                let payload = catch_unwind(AssertUnwindSafe(checkpoint[raised])).unwrap_err();
                assert!(payload.is::<Cancelled>());
                raised += 1;
            }
            pass();
        });
        assert!(cancelled.is_err());
        assert_eq!(raised, 3);
        yield_now();
    });
}

#[test]
fn a_deadline_cancels_what_is_inside_and_says_so() {
    run(|| {
        let soon = Duration::from_millis(1);
        assert_eq!(reason(timeout(soon, || sleep(FOREVER))), Reason::Deadline);
        assert_eq!(reason(timeout(soon, park)), Reason::Deadline);
        assert_eq!(reason(deadline(now() + soon, || spawn(park).join().is_ok())), Reason::Deadline);
        assert_eq!(reason(deadline(now() - soon, yield_now)), Reason::Deadline);
        assert_eq!(
            reason(cancel_scope(|scope| {
                scope.set_deadline(Some(Instant::now() + FOREVER / 4));
                scope.set_deadline(None);
                scope.set_deadline(Some(Instant::now() + soon));
                park();
            })),
            Reason::Deadline
        );
    });
}

#[test]
fn the_outermost_of_the_scopes_that_are_cancelled_catches() {
    run(|| {
        let mut after = false;
        let outer = cancel_scope(|outer| {
            let inner = cancel_scope(|inner| {
                inner.cancel();
                outer.cancel();
                yield_now();
            });
            after = inner.is_ok();
        });
        assert!(outer.is_err());
        assert!(!after);
    });
}

#[test]
fn an_inner_scope_catches_its_own_and_the_outer_one_goes_on() {
    run(|| {
        let outer = timeout(FOREVER, || {
            assert_eq!(reason(timeout(Duration::ZERO, yield_now)), Reason::Deadline);
            yield_now();
            7
        });
        assert_eq!(outer, Ok(7));
    });
}

#[test]
fn a_shield_keeps_cancellations_of_outside_out_until_it_is_left() {
    run(|| {
        let mut said = Vec::new();
        let outer = cancel_scope(|outer| {
            outer.cancel();
            shield(|| {
                yield_now();
                said.push("shielded");
                assert!(timeout(Duration::ZERO, yield_now).is_err());
                said.push("its own");
            });
            yield_now();
            said.push("not");
        });
        assert!(outer.is_err());
        assert_eq!(said, ["shielded", "its own"]);
    });
}

#[test]
fn tasks_of_a_scope_are_cancelled_with_what_it_was_opened_in() {
    run(|| {
        let ended = Cell::new(0);
        let cancelled = timeout(Duration::from_millis(1), || {
            scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| {
                        let _count = Count(&ended);
                        scope(|s| {
                            s.spawn(|| {
                                let _count = Count(&ended);
                                park();
                            });
                        });
                    });
                }
            });
        });
        assert_eq!(reason(cancelled), Reason::Deadline);
        assert_eq!(ended.get(), 6);
    });
}

struct Count<'a>(&'a Cell<i32>);

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_task_that_is_spawned_into_a_cancelled_scope_does_not_begin() {
    run(|| {
        let began = Cell::new(false);
        let cancelled = cancel_scope(|outer| {
            scope(|s| {
                outer.cancel();
                s.spawn(|| began.set(true));
            });
        });
        assert!(cancelled.is_err());
        assert!(!began.get());
    });
}

#[test]
fn a_task_that_belongs_to_nobody_is_not_cancelled_with_its_spawner() {
    run(|| {
        let done = Rc::new(Cell::new(false));
        let mut task = None;
        let cancelled = cancel_scope(|scope| {
            let done = Rc::clone(&done);
            task = Some(spawn(move || {
                yield_now();
                done.set(true);
            }));
            scope.cancel();
            yield_now();
        });
        assert!(cancelled.is_err());
        task.unwrap().join().unwrap();
        assert!(done.get());
    });
}

#[test]
fn cancelling_a_task_ends_it_where_it_waits() {
    run(|| {
        let waits: [fn(); 3] = [park, || sleep(FOREVER), || drop(spawn(park).join())];
        let tasks: Vec<_> = waits.into_iter().map(spawn).collect();
        yield_now();
        for task in &tasks {
            task.cancel();
            task.cancel();
        }
        for task in tasks {
            let payload = task.join().unwrap_err();
            assert_eq!(payload.downcast_ref::<Cancelled>().unwrap().reason(), Reason::Explicit);
        }
        let ended = spawn(|| 7);
        yield_now();
        ended.cancel();
        assert_eq!(ended.join().unwrap(), 7);
    });
}

#[test]
fn a_coroutine_that_is_suspended_inside_a_scope_may_be_dropped_elsewhere() {
    run(|| {
        let mut coroutine = kettle_fiber::coroutine(|y| {
            let _ = timeout(FOREVER, || {
                y.yield_(1);
                yield_now();
            });
        });
        assert_eq!(coroutine.next(), Some(1));
        let outer = timeout(Duration::from_millis(1), || {
            // Dropped in the middle of a list of two.
            drop(coroutine);
            park();
        });
        assert_eq!(reason(outer), Reason::Deadline);
        yield_now();
    });
}

#[test]
fn a_coroutine_that_is_suspended_inside_a_scope_may_outlive_its_task() {
    let coroutine = run(|| {
        spawn(|| {
            let mut coroutine = kettle_fiber::coroutine(|y| {
                let result = timeout(FOREVER, || {
                    y.yield_(1);
                    yield_now();
                });
                y.yield_(if result.is_ok() { 2 } else { 3 });
            });
            assert_eq!(coroutine.next(), Some(1));
            coroutine
        })
        .join()
        .unwrap()
    });
    let mut coroutine = coroutine;
    run(|| {
        assert_eq!(timeout(FOREVER, || coroutine.next()), Ok(Some(2)));
        yield_now();
    });
}
