//! A million delegations deep, on a stack that holds a few hundred frames: nothing may recurse.
//!
//! Towers grow from the top (each storey makes the one below it when it runs) and from the bottom (a loop wraps a box).

use kettle_gen::{BoxGenerator, Error, Generator, State, Step, TryYielder, Yielder, boxed, generator, try_generator};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

/// Miri runs a thousandth of the speed, and sees in a hundred storeys all there is to see.
const DEEP: u32 = if cfg!(miri) { 100 } else { 1_000_000 };

type Tower<'a> = BoxGenerator<'a, u32, u32, u32>;

/// Runs a test on a thread with a small stack.
fn on_a_small_stack(test: impl FnOnce() -> Result<(), Error> + Send) {
    thread::scope(|scope| {
        let small = thread::Builder::new().stack_size(256 * 1024);
        let result = small.spawn_scoped(scope, test).expect("a thread").join();
        result.expect("no panic").expect("no error");
    });
}

/// Counts the drops of what the storeys hold.
struct Tally<'a>(&'a AtomicU32);

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// The innermost adds up what it is sent, until it is resumed with nothing.
fn ground<'a>(dropped: &'a AtomicU32) -> Tower<'a> {
    boxed(generator(async move |y: &mut Yielder<u32, u32>| {
        let _tally = Tally(dropped);
        let mut sum = 0;
        while let Some(sent) = y.yield_(sum).await {
            sum += sent;
        }
        sum
    }))
}

/// One storey on another; it adds one to the result.
fn storey<'a>(below: Tower<'a>, dropped: &'a AtomicU32) -> Tower<'a> {
    boxed(generator(async move |y| {
        let _tally = Tally(dropped);
        y.yield_from(below).await + 1
    }))
}

fn from_the_top(height: u32, dropped: &AtomicU32) -> Tower<'_> {
    boxed(generator(async move |y: &mut Yielder<u32, u32>| {
        let _tally = Tally(dropped);
        let below = if height == 0 { ground(dropped) } else { from_the_top(height - 1, dropped) };
        y.yield_from(below).await + 1
    }))
}

fn from_the_bottom(height: u32, dropped: &AtomicU32) -> Tower<'_> {
    (0..=height).fold(ground(dropped), |below, _| storey(below, dropped))
}

const BOTH: [fn(u32, &AtomicU32) -> Tower<'_>; 2] = [from_the_top, from_the_bottom];

#[test]
fn resuming_sending_and_returning() {
    on_a_small_stack(|| {
        for build in BOTH {
            let dropped = AtomicU32::new(0);
            let mut g = build(DEEP, &dropped);
            assert_eq!(g.resume()?, Step::Yielded(0));
            for n in 1..=100 {
                assert_eq!(g.send(1)?, Step::Yielded(n));
            }
            assert_eq!(g.resume()?, Step::Returned(100 + DEEP + 1));
            assert_eq!(dropped.load(Relaxed), DEEP + 2);
        }
        Ok(())
    });
}

#[test]
fn throwing() {
    on_a_small_stack(|| {
        for build in BOTH {
            let dropped = AtomicU32::new(0);
            let mut g = build(DEEP, &dropped);
            g.resume()?;
            let error = g.throw(Error::new("stop")).expect_err("nobody handles it");
            assert_eq!((error.to_string().as_str(), g.state()), ("stop", State::Finished));
            assert_eq!(dropped.load(Relaxed), DEEP + 2);
        }
        Ok(())
    });
}

#[test]
fn closing() {
    on_a_small_stack(|| {
        for build in BOTH {
            let dropped = AtomicU32::new(0);
            let mut g = build(DEEP, &dropped);
            g.resume()?;
            assert_eq!(g.close()?, None);
            assert_eq!(dropped.load(Relaxed), DEEP + 2);
        }
        Ok(())
    });
}

#[test]
fn dropping() {
    on_a_small_stack(|| {
        for build in BOTH {
            let dropped = AtomicU32::new(0);
            let mut g = build(DEEP, &dropped);
            g.resume()?;
            drop(g);
            assert_eq!(dropped.load(Relaxed), DEEP + 2);
        }
        Ok(())
    });
}

#[test]
fn moving_a_deep_tower_into_another_generator() {
    on_a_small_stack(|| {
        let dropped = AtomicU32::new(0);
        let mut tower = from_the_top(DEEP, &dropped);
        tower.resume()?;
        let mut g = generator(async move |y| y.yield_from(tower).await);
        assert_eq!(g.resume()?, Step::Returned(DEEP + 1));
        Ok(())
    });
}

#[test]
fn each_storey_may_handle_errors_on_their_way() {
    fn careful(height: u32) -> BoxGenerator<'static, (), (), u32> {
        boxed(try_generator(async move |y: &mut TryYielder<()>| {
            if height == 0 {
                y.yield_(()).await;
                return Ok(0);
            }
            match y.try_yield_from(careful(height - 1)).await {
                // Every second one lets it pass on.
                Err(error) if height.is_multiple_of(2) => Err(error.into()),
                Err(_) => Err("again".into()),
                Ok(result) => Ok(result),
            }
        }))
    }
    on_a_small_stack(|| {
        let mut g = careful(DEEP);
        g.resume()?;
        assert_eq!(g.throw(Error::new("stop")).map_err(|error| error.to_string()), Err("again".into()));
        let mut g = careful(DEEP);
        g.resume()?;
        assert_eq!(g.close().map_err(|error| error.to_string()), Err("again".into()));
        let mut g = careful(DEEP);
        g.resume()?;
        drop(g);
        Ok(())
    });
}

#[test]
fn each_storey_may_delegate_once_more_when_it_is_closed() {
    // Were the storeys below counted each time, a million of them would take a day.
    fn tidy(height: u32, tidied: &AtomicU32) -> BoxGenerator<'_, ()> {
        boxed(try_generator(async move |y: &mut TryYielder<()>| {
            let result = if height == 0 {
                y.try_yield(()).await.map(drop)
            } else {
                y.try_yield_from(tidy(height - 1, tidied)).await
            };
            y.yield_from(generator(async |_: &mut Yielder<()>| _ = tidied.fetch_add(1, Relaxed))).await;
            Ok(result?)
        }))
    }
    on_a_small_stack(|| {
        let tidied = AtomicU32::new(0);
        let mut g = tidy(DEEP, &tidied);
        g.resume()?;
        assert_eq!(g.close()?, None);
        assert_eq!(tidied.load(Relaxed), DEEP + 1);
        Ok(())
    });
}

#[test]
fn a_panic_passes_by_a_deep_tower() {
    fn fragile(height: u32, dropped: &AtomicU32) -> BoxGenerator<'_, ()> {
        boxed(generator(async move |y: &mut Yielder<()>| {
            let _tally = Tally(dropped);
            if height > 0 {
                return y.yield_from(fragile(height - 1, dropped)).await;
            }
            y.yield_(()).await;
            std::panic::resume_unwind(Box::new("broken"));
        }))
    }
    on_a_small_stack(|| {
        let dropped = AtomicU32::new(0);
        let mut g = fragile(DEEP, &dropped);
        g.resume()?;
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| g.resume()));
        assert_eq!(panic.err().and_then(|panic| panic.downcast_ref().copied()), Some("broken"));
        assert_eq!(dropped.load(Relaxed), DEEP + 1, "every storey is gone before the panic is out");
        assert_eq!(g.state(), State::Finished);
        Ok(())
    });
}

#[test]
fn the_cost_of_a_value_does_not_depend_on_depth() -> Result<(), Error> {
    // Counted in polls of bodies: a storey that is passed by counts nothing.
    let polls = AtomicU32::new(0);
    fn counted<'a>(height: u32, polls: &'a AtomicU32) -> BoxGenerator<'a, u32> {
        boxed(generator(async move |y: &mut Yielder<u32>| {
            let mut body = std::pin::pin!(async {
                if height == 0 {
                    return y.yield_iter(0..10).await;
                }
                y.yield_from(counted(height - 1, polls)).await;
            });
            std::future::poll_fn(|context| {
                polls.fetch_add(1, Relaxed);
                body.as_mut().poll(context)
            })
            .await;
        }))
    }
    let mut g = counted(1000, &polls);
    g.resume()?;
    assert_eq!(polls.swap(0, Relaxed), 1001, "each body has started");
    for _ in 0..9 {
        g.resume()?;
    }
    assert_eq!(polls.swap(0, Relaxed), 9, "only the innermost runs");
    assert_eq!(g.resume()?, Step::Returned(()));
    assert_eq!(polls.load(Relaxed), 1001, "each is told of the end once");
    Ok(())
}

#[test]
fn a_body_that_catches_a_failed_delegate_tries_again_without_growing_the_stack() {
    let mut g = try_generator(async |y: &mut TryYielder<u32>| {
        let mut failures = 0_u32;
        while failures < DEEP {
            let fails = try_generator(async |_: &mut TryYielder<u32>| Err::<(), _>("no".into()));
            if y.try_yield_from(fails).await.is_err() {
                failures += 1;
            }
        }
        Ok(failures)
    });
    assert!(matches!(g.resume(), Ok(Step::Returned(DEEP))));
}
