//! Panics: in bodies, in destructors, in delegates. Each passes through the call that met it; what it passed by has
//! finished and is dropped once, innermost first.

use kettle_gen::{
    BoxGenerator, Error, Generator, SendError, State, Step, TryYielder, Yielder, boxed, generator, local, try_generator,
};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Mutex;

type Test = Result<(), Error>;

/// Ends the test's code with a panic that prints nothing.
fn broken() -> ! {
    resume_unwind(Box::new("broken"))
}

fn is_broken<T>(code: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(code)).is_err_and(|panic| panic.downcast_ref() == Some(&"broken"))
}

/// Writes down who is dropped.
#[derive(Default)]
struct Drops(Mutex<String>);

impl Drops {
    fn read(&self) -> String {
        std::mem::take(&mut *self.0.lock().expect("no panic while it is locked"))
    }

    fn mark(&self, name: char) -> Mark<'_> {
        Mark { drops: self, name, breaks: false }
    }

    /// One that panics when it is dropped.
    fn bomb(&self, name: char) -> Mark<'_> {
        Mark { drops: self, name, breaks: true }
    }
}

struct Mark<'a> {
    drops: &'a Drops,
    name: char,
    breaks: bool,
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.drops.0.lock().expect("no panic while it is locked").push(self.name);
        if self.breaks && !std::thread::panicking() {
            broken();
        }
    }
}

/// Breaks when it is resumed for the `at`th time.
fn breaking(at: u32, drops: &Drops) -> impl Generator<Yield = u32, Send = (), Return = ()> + Send {
    generator(async move |y: &mut Yielder<u32>| {
        let _mark = drops.mark('b');
        for n in 1.. {
            if n == at {
                broken();
            }
            y.yield_(n).await;
        }
    })
}

#[test]
fn a_panic_of_the_body_passes_through_and_finishes_it() -> Test {
    for at in 1..4 {
        let drops = Drops::default();
        let mut g = breaking(at, &drops);
        for n in 1..at {
            assert_eq!(g.resume()?, Step::Yielded(n));
        }
        assert!(is_broken(|| g.resume()));
        assert_eq!((g.state(), drops.read().as_str()), (State::Finished, "b"));
        assert!(g.resume().is_err_and(|error| error.is_finished()));
        assert_eq!(g.close()?, None);
        drop(g);
        assert_eq!(drops.read(), "", "it was dropped once");
    }
    Ok(())
}

#[test]
fn so_does_one_of_a_pinned_a_boxed_a_shared_and_an_iterated_one() -> Test {
    let drops = Drops::default();
    let mut pinned = pin!(generator(async |y: &mut Yielder<u32>| {
        y.yield_(1).await;
        broken();
    }));
    assert_eq!(pinned.next(), Some(1));
    assert!(is_broken(|| pinned.next()));
    assert_eq!((pinned.next(), pinned.state()), (None, State::Finished));
    let mut g = boxed(breaking(2, &drops));
    g.resume()?;
    assert!(is_broken(|| g.next()));
    assert_eq!((g.next(), g.state()), (None, State::Finished));
    let mut g = std::rc::Rc::new(RefCell::new(breaking(2, &drops)));
    g.resume()?;
    assert!(is_broken(|| g.resume()));
    assert_eq!(g.state(), State::Finished, "the borrow has ended with the panic");
    Ok(())
}

/// A tower of delegations, each marked with its letter, on one that does what it likes.
fn tower<'a>(letters: &'static str, ground: BoxGenerator<'a, u32>, drops: &'a Drops) -> BoxGenerator<'a, u32> {
    letters.chars().fold(ground, |below, letter| {
        boxed(generator(async move |y| {
            let _mark = drops.mark(letter);
            y.yield_from(below).await;
        }))
    })
}

#[test]
fn a_panic_of_a_delegate_finishes_every_delegator_innermost_first() -> Test {
    for at in 1..4 {
        let drops = Drops::default();
        let mut g = tower("cde", boxed(breaking(at, &drops)), &drops);
        for n in 1..at {
            assert_eq!(g.resume()?, Step::Yielded(n));
        }
        assert!(is_broken(|| g.resume()));
        assert_eq!((g.state(), drops.read().as_str()), (State::Finished, "bcde"));
        drop(g);
        assert_eq!(drops.read(), "");
    }
    Ok(())
}

#[test]
fn a_delegator_does_not_see_the_panic_of_its_delegate() -> Test {
    let drops = Drops::default();
    let went_on = Mutex::new(false);
    let mut g = try_generator(async |y: &mut TryYielder<u32>| {
        let _result = y.try_yield_from(breaking(2, &drops)).await;
        *went_on.lock().expect("no panic") = true;
        Ok(())
    });
    g.resume()?;
    assert!(is_broken(|| g.resume()));
    assert_eq!(g.state(), State::Finished);
    drop(g);
    assert_eq!(went_on.into_inner().ok(), Some(false));
    Ok(())
}

#[test]
fn a_panic_of_a_middle_one_after_its_delegate_has_ended() -> Test {
    let drops = Drops::default();
    let middle = boxed(generator(async |y: &mut Yielder<u32>| {
        let _mark = drops.mark('b');
        y.yield_from(generator(async |y: &mut Yielder<u32>| y.yield_iter(0..1).await)).await;
        broken();
    }));
    let mut g = tower("cd", middle, &drops);
    assert_eq!(g.resume()?, Step::Yielded(0));
    assert!(is_broken(|| g.resume()));
    assert_eq!((g.state(), drops.read().as_str()), (State::Finished, "bcd"));
    Ok(())
}

#[test]
fn a_panic_while_handling_a_thrown_error() -> Test {
    let drops = Drops::default();
    let ground = || {
        boxed(try_generator(async |y: &mut TryYielder<u32>| {
            let _mark = drops.mark('b');
            if y.try_yield(1).await.is_err() {
                broken();
            }
            Ok(())
        }))
    };
    let mut g = tower("cd", ground(), &drops);
    g.resume()?;
    assert!(is_broken(|| g.throw(Error::new("stop"))));
    assert_eq!((g.state(), drops.read().as_str()), (State::Finished, "bcd"));
    let mut g = tower("cd", ground(), &drops);
    g.resume()?;
    assert!(is_broken(|| g.close()));
    assert_eq!((g.state(), drops.read().as_str()), (State::Finished, "bcd"));
    let mut g = tower("cd", ground(), &drops);
    g.resume()?;
    assert!(is_broken(move || drop(g)));
    assert_eq!(drops.read(), "bcd", "a panic in a drop drops everything nevertheless");
    Ok(())
}

/// Holds a bomb between two marks.
fn mined<'a>(drops: &'a Drops) -> BoxGenerator<'a, u32> {
    boxed(generator(async move |y: &mut Yielder<u32>| {
        let _first = drops.mark('1');
        let _second = drops.bomb('2');
        let _third = drops.mark('3');
        y.yield_(1).await;
    }))
}

#[test]
fn a_destructor_that_panics_when_the_body_returns() -> Test {
    let drops = Drops::default();
    let mut g = tower("cd", mined(&drops), &drops);
    g.resume()?;
    assert!(is_broken(|| g.resume()));
    assert_eq!((g.state(), drops.read().as_str()), (State::Finished, "321cd"));
    Ok(())
}

#[test]
fn a_destructor_that_panics_when_the_generator_is_closed() -> Test {
    let drops = Drops::default();
    for letters in ["", "c", "cd"] {
        let mut g = tower(letters, mined(&drops), &drops);
        g.resume()?;
        assert!(is_broken(|| g.close()));
        assert_eq!((g.state(), drops.read()), (State::Finished, format!("321{letters}")));
        assert_eq!(g.close()?, None);
    }
    Ok(())
}

#[test]
fn a_destructor_that_panics_when_an_error_passes_through() -> Test {
    let drops = Drops::default();
    for letters in ["", "c", "cd"] {
        let mut g = tower(letters, mined(&drops), &drops);
        g.resume()?;
        assert!(is_broken(|| g.throw(Error::new("stop"))));
        assert_eq!((g.state(), drops.read()), (State::Finished, format!("321{letters}")));
    }
    Ok(())
}

#[test]
fn a_destructor_that_panics_when_the_generator_is_dropped() -> Test {
    let drops = Drops::default();
    for letters in ["", "c", "cd"] {
        let mut g = tower(letters, mined(&drops), &drops);
        g.resume()?;
        assert!(is_broken(move || drop(g)));
        assert_eq!(drops.read(), format!("321{letters}"));
    }
    Ok(())
}

#[test]
fn a_destructor_that_panics_before_the_start() {
    let drops = Drops::default();
    let bomb = drops.bomb('b');
    let g = generator(async move |y: &mut Yielder<u32>| {
        let _bomb = bomb;
        y.yield_(1).await;
    });
    assert!(is_broken(move || drop(g)));
    assert_eq!(drops.read(), "b");
    let bomb = drops.bomb('b');
    let mut g = generator(async move |y: &mut Yielder<u32>| {
        let _bomb = bomb;
        y.yield_(1).await;
    });
    assert!(is_broken(|| g.close()));
    assert_eq!((g.state(), drops.read().as_str()), (State::Finished, "b"));
}

#[test]
fn a_delegate_that_ignores_the_exit_with_a_destructor_that_panics() -> Test {
    let drops = Drops::default();
    let ground = boxed(try_generator(async |y: &mut TryYielder<u32>| {
        let _mark = drops.mark('a');
        let _bomb = drops.bomb('b');
        let _exit = y.try_yield(1).await;
        y.yield_(2).await;
        Ok(())
    }));
    let mut g = tower("cd", ground, &drops);
    g.resume()?;
    assert!(is_broken(|| g.close()));
    assert_eq!((g.state(), drops.read().as_str()), (State::Finished, "bacd"));
    Ok(())
}

#[test]
fn a_value_that_panics_when_nobody_hears_it() -> Test {
    // Dropped while it ignores the exit, the body hands out a value; dropping that one panics.
    let drops = Drops::default();
    let stubborn = || {
        try_generator(async |y: &mut TryYielder<Option<Mark<'_>>>| {
            let _mark = drops.mark('a');
            let _exit = y.try_yield(None).await;
            y.yield_(Some(drops.bomb('v'))).await;
            Ok(())
        })
    };
    // In which order is not promised.
    let both = || [String::from("av"), String::from("va")].contains(&drops.read());
    let mut g = stubborn();
    g.resume()?;
    assert!(is_broken(move || drop(g)));
    assert!(both());
    let mut g = generator(async |y| y.yield_from(stubborn()).await);
    g.resume()?;
    assert!(is_broken(move || drop(g)));
    assert!(both());
    let mut g = stubborn();
    g.resume()?;
    assert!(is_broken(|| g.close()));
    assert_eq!(drops.read(), "v");
    assert_eq!(g.state(), State::Suspended, "it is as the value left it");
    drop(g);
    assert_eq!(drops.read(), "a");
    Ok(())
}

#[test]
fn a_panic_drops_generators_that_are_in_its_way() -> Test {
    let drops = Drops::default();
    let mut inner = generator(async |y: &mut Yielder<u32>| {
        let _mark = drops.mark('i');
        y.yield_(1).await;
    });
    inner.resume()?;
    assert!(is_broken(|| {
        let _inner = inner;
        let mut outer = generator(async |y: &mut Yielder<u32>| {
            let _mark = drops.mark('o');
            y.yield_(1).await;
        });
        drop(outer.resume());
        broken();
    }));
    assert_eq!(drops.read(), "oi");
    Ok(())
}

#[test]
fn a_body_may_catch_the_panic_of_a_generator_that_it_resumes() -> Test {
    let drops = Drops::default();
    let mut g = local::generator(async |y: &mut local::Yielder<bool>| {
        let mut inner = breaking(1, &drops);
        y.yield_(is_broken(|| inner.resume())).await;
        y.yield_(inner.state() == State::Finished).await;
    });
    assert_eq!(g.iter().collect::<Vec<_>>(), [true, true]);
    Ok(())
}

#[test]
fn a_sent_value_that_panics_when_it_is_dropped() -> Test {
    // The body does not take it: the plain iterator refuses it, and the sender gets it back.
    let drops = Drops::default();
    let mut g = generator(async |y: &mut Yielder<u32, Mark<'_>>| y.yield_iter(0..3).await);
    g.resume()?;
    let refused = g.send(drops.bomb('s')).expect_err("an iterator takes nothing").into_value();
    assert_eq!(drops.read(), "");
    assert!(is_broken(move || drop(refused)));
    // The body takes it and drops it.
    let mut g = generator(async |y: &mut Yielder<u32, Mark<'_>>| {
        let _mark = drops.mark('b');
        drop(y.yield_(1).await);
    });
    g.resume()?;
    drops.read();
    assert!(is_broken(|| g.send(drops.bomb('s'))));
    assert_eq!((g.state(), drops.read().as_str()), (State::Finished, "sb"));
    Ok(())
}

/// Breaks when it is asked for the `at`th time where it stands.
struct Unspeakable {
    at: u32,
    asked: Cell<u32>,
    _kept: Rc<()>,
}

impl Generator for Unspeakable {
    type Yield = u32;
    type Send = Rc<()>;
    type Return = ();

    fn resume(&mut self) -> Result<Step<u32, ()>, Error> {
        Ok(Step::Yielded(1))
    }

    fn send(&mut self, _: Rc<()>) -> Result<Step<u32, ()>, SendError<Rc<()>>> {
        Ok(Step::Yielded(2))
    }

    fn throw(&mut self, error: Error) -> Result<Step<u32, ()>, Error> {
        Err(error)
    }

    fn close(&mut self) -> Result<Option<()>, Error> {
        Ok(None)
    }

    fn state(&self) -> State {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() == self.at { broken() } else { State::Suspended }
    }
}

#[test]
fn a_panic_of_a_question_loses_neither_the_generator_nor_the_value() {
    let kept = Rc::new(());
    let make = |at| Unspeakable { at, asked: Cell::new(0), _kept: Rc::clone(&kept) };
    assert!(is_broken(|| local::boxed(make(1))));
    assert_eq!(Rc::strong_count(&kept), 1, "when it was put into a box");
    assert!(is_broken(|| {
        let mut g = local::generator(async |y: &mut local::Yielder<u32, Rc<()>>| y.yield_from(make(1)).await);
        g.resume()
    }));
    assert_eq!(Rc::strong_count(&kept), 1, "when it was delegated to");
    let mut g = local::boxed(make(2));
    assert!(is_broken(|| g.send(Rc::clone(&kept))));
    assert_eq!(Rc::strong_count(&kept), 2, "when it was sent its first value");
    assert!(matches!(g.send(Rc::clone(&kept)), Ok(Step::Yielded(2))));
    drop(g);
    assert_eq!(Rc::strong_count(&kept), 1);
}

#[test]
fn a_panic_of_the_innermost_runs_no_code_of_those_that_delegate_to_it() {
    let drops = Drops::default();
    let innermost = generator(async |y: &mut Yielder<u8>| {
        y.yield_(1).await;
        let _mark = drops.mark('a');
        broken()
    });
    // This would end the process if it were told to end in the middle of the panic.
    let unwraps = try_generator(async |y: &mut TryYielder<u8>| {
        let _mark = drops.mark('b');
        y.try_yield_from(innermost).await.expect("nothing is raised");
        Ok(())
    });
    let ignores = try_generator(async |y: &mut TryYielder<u8>| {
        let _mark = drops.mark('c');
        _ = y.try_yield_from(unwraps).await;
        let _mark = drops.mark('x');
        Ok(())
    });
    let mut root = try_generator(async |y: &mut TryYielder<u8>| {
        let _mark = drops.mark('d');
        _ = y.try_yield_from(ignores).await;
        Ok(())
    });
    assert!(matches!(root.next(), Some(Ok(1))));
    assert!(is_broken(|| root.next()));
    assert_eq!(drops.read(), "abcd");
    assert_eq!(root.state(), State::Finished);
}
