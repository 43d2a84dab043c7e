//! Cancel scopes: what is inside ends, what is outside goes on, and who asks is told why.
#![allow(clippy::unit_arg, reason = "what a function gives is often nothing")]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::{
    Builder, Cancelled, EventLoop, Instant, Reason, cancel_scope, deadline, now, park, pass, scope, shield, sleep,
    spawn, timeout, yield_now,
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

#[test]
fn of_three_scopes_the_outer_one_of_those_that_are_cancelled_catches() {
    run(|| {
        let mut caught = Vec::new();
        let first = cancel_scope(|_| {
            let second = cancel_scope(|second| {
                let third = cancel_scope(|third| {
                    third.cancel();
                    second.cancel();
                    park();
                });
                caught.push(("third", third.is_err()));
            });
            caught.push(("second", second.is_err()));
        });
        caught.push(("first", first.is_err()));
        assert_eq!(caught, [("second", true), ("first", false)]);
    });
}

#[test]
fn a_deadline_that_is_moved_counts_from_then_on() {
    run(|| {
        let soon = Duration::from_millis(1);
        let moved = cancel_scope(|scope| {
            scope.set_deadline(Some(Instant::now() + soon));
            scope.set_deadline(Some(Instant::now() + FOREVER / 4));
            sleep(3 * soon);
            // A time that has passed is heard at the next checkpoint.
            scope.set_deadline(Some(Instant::now() - soon));
            assert!(scope.is_cancelled());
            // It does not become uncancelled.
            scope.set_deadline(None);
            yield_now();
        });
        assert_eq!(reason(moved), Reason::Deadline);
        let often = cancel_scope(|scope| {
            for _ in 0..2000 {
                scope.set_deadline(Some(Instant::now() + FOREVER / 4));
                scope.set_deadline(Some(Instant::now() + FOREVER / 8));
            }
            sleep(soon);
        });
        assert!(often.is_ok());
    });
}

#[test]
fn a_deadline_is_noticed_by_a_task_that_only_yields() {
    run(|| {
        let late = timeout(Duration::from_millis(1), || {
            loop {
                yield_now();
            }
        });
        assert_eq!(reason::<()>(late), Reason::Deadline);
    });
}

#[test]
fn a_deadline_that_comes_with_the_result_takes_nothing_from_it() {
    run(|| {
        for _ in 0..100 {
            let at = now() + Duration::from_micros(20);
            let task = spawn(move || {
                kettle_rt::sleep_until(at);
                7
            });
            let mut task = Some(task);
            // Either the task's end or the time comes first; who is late finds the result where it was.
            let joined = deadline(at, || {
                while !task.as_ref().unwrap().is_finished() {
                    yield_now();
                }
                task.take().unwrap().join().unwrap()
            });
            assert_eq!(joined.unwrap_or_else(|_| task.take().unwrap().join().unwrap()), 7);
        }
    });
}

#[test]
fn shields_and_scopes_alternate() {
    run(|| {
        let mut said = Vec::new();
        let outer = cancel_scope(|outer| {
            outer.cancel();
            shield(|| {
                let inner = cancel_scope(|inner| {
                    yield_now();
                    inner.cancel();
                    shield(|| {
                        yield_now();
                        said.push("in two shields");
                    });
                    yield_now();
                    said.push("not reached");
                });
                assert!(inner.is_err());
                yield_now();
                said.push("in one shield");
            });
            yield_now();
            said.push("not reached");
        });
        assert!(outer.is_err());
        assert_eq!(said, ["in two shields", "in one shield"]);
    });
}

#[test]
fn tasks_in_a_shield_run_on_and_those_beside_it_end() {
    run(|| {
        let done = Cell::new(0);
        let cancelled = cancel_scope(|outer| {
            scope(|s| {
                s.spawn(|| {
                    shield(|| {
                        scope(|s| {
                            for _ in 0..3 {
                                s.spawn(|| {
                                    (0..5).for_each(|_| yield_now());
                                    done.set(done.get() + 1);
                                });
                            }
                        });
                    });
                });
                s.spawn(|| {
                    park();
                    done.set(100);
                });
                yield_now();
                yield_now();
                outer.cancel();
            });
        });
        assert!(cancelled.is_err());
        assert_eq!(done.get(), 3);
    });
}

/// Calls a function when it goes.
struct Finally<F: FnMut()>(F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_destructor_may_cancel_and_shield_while_it_unwinds() {
    run(|| {
        let mut said = Vec::new();
        let outer = cancel_scope(|outer| {
            let inner = cancel_scope(|inner| {
                let _finally = Finally(|| {
                    outer.cancel();
                    // Nothing waits here, so there is nothing to keep out.
                    shield(|| said.push("shielded"));
                    assert_eq!(timeout(Duration::ZERO, || 7), Ok(7));
                });
                inner.cancel();
                yield_now();
            });
            // Cancelled while it unwound for the inner one: this is where the outer one's tasks go on.
            assert!(inner.is_ok());
        });
        assert!(outer.is_err());
        assert_eq!(said, ["shielded"]);
        yield_now();
    });
}

#[test]
fn a_panic_leaves_a_scope_as_a_return_does() {
    run(|| {
        let panics: [fn(); 5] = [
            || cancel_scope(|_| panic()).unwrap(),
            || timeout(Duration::from_millis(1), panic).unwrap(),
            || shield(panic),
            || scope(|_| panic()),
            || drop(kettle_rt::task_group(|_| Ok::<_, ()>(panic()))),
        ];
        for panics in panics {
            let outer = cancel_scope(|outer| {
                let payload = catch_unwind(panics).unwrap_err();
                assert!(payload.is::<&str>());
                // Its timer has gone with it, and what is inside is the outer one again.
                sleep(Duration::from_millis(2));
                outer.cancel();
                yield_now();
            });
            assert!(outer.is_err());
        }
        yield_now();
    });
}

fn panic() {
    std::panic::resume_unwind(Box::new("spilled"))
}

#[test]
fn a_panic_in_a_cancelled_scope_passes_through_it() {
    run(|| {
        let payload = catch_unwind(|| {
            let caught = cancel_scope(|scope| {
                scope.cancel();
                panic();
            });
            assert!(caught.is_ok(), "not caught here");
        });
        assert!(payload.unwrap_err().is::<&str>());
    });
}

#[test]
fn scopes_nest_as_deep_as_the_stack_is() {
    fn nest(depth: u32, at_the_end: &dyn Fn()) {
        if depth == 0 {
            return at_the_end();
        }
        assert!(cancel_scope(|_| nest(depth - 1, at_the_end)).is_ok());
    }
    run(|| {
        let deep = Builder::new().stack_size(1 << 30).spawn(|| {
            let outermost = cancel_scope(|outermost| {
                nest(20_000, &|| {
                    outermost.cancel();
                    yield_now();
                });
            });
            assert!(outermost.is_err());
        });
        deep.unwrap().join().unwrap();
    });
}

#[test]
fn a_chain_of_tasks_ten_thousand_deep_is_cancelled_at_once() {
    fn chain(depth: u32, ended: &Cell<i32>) {
        let _count = Count(ended);
        if depth == 0 {
            return park();
        }
        scope(|s| {
            s.spawn(|| chain(depth - 1, ended));
        });
    }
    const DEPTH: u32 = 10_000;
    run(|| {
        let ended = Cell::new(0);
        let cancelled = cancel_scope(|outer| {
            scope(|s| {
                s.spawn(|| chain(DEPTH, &ended));
                (0..=DEPTH + 1).for_each(|_| yield_now());
                outer.cancel();
            });
        });
        assert!(cancelled.is_err());
        assert_eq!(ended.get(), DEPTH as i32 + 1);
    });
}

#[test]
fn a_coroutine_that_was_forgotten_in_a_scope_does_no_harm() {
    run(|| {
        for _ in 0..3 {
            spawn(|| {
                let mut coroutine = kettle_fiber::coroutine(|y| {
                    let _ = timeout(Duration::from_millis(1), || {
                        cancel_scope(|_| {
                            shield(|| {
                                y.yield_(1);
                            })
                        })
                    });
                });
                assert_eq!(coroutine.next(), Some(1));
                std::mem::forget(coroutine);
            })
            .join()
            .unwrap();
        }
        // Their times come, for nobody.
        sleep(Duration::from_millis(3));
        assert_eq!(timeout(FOREVER, || 7), Ok(7));
    });
}
