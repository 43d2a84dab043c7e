//! What may go to another thread, and what must not: checked by the compiler both ways, and by going there.
//!
//! `ui/` has the programs that the compiler must refuse.

use kettle_gen::{
    BoxGenerator, Error, Generator, SendError, State, Step, TryYielder, Yielder, boxed, generator, local, try_generator,
};
use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

type Test = Result<(), Error>;

/// Whether a type is `Send` or `Sync`, answered for types that have no name too: the method of the bounded impl is found
/// before the one of the trait.
struct Asked<T>(PhantomData<T>);

impl<T: Send> Asked<T> {
    fn is_send(&self) -> bool {
        true
    }
}

impl<T: Sync> Asked<T> {
    fn is_sync(&self) -> bool {
        true
    }
}

trait Otherwise {
    fn is_send(&self) -> bool {
        false
    }
    fn is_sync(&self) -> bool {
        false
    }
}

impl<T> Otherwise for Asked<T> {}

fn type_of<T>(_: &T) -> PhantomData<T> {
    PhantomData
}

macro_rules! is_send {
    ($value:expr) => {
        Asked(type_of(&$value)).is_send()
    };
}

macro_rules! is_sync {
    ($value:expr) => {
        Asked(type_of(&$value)).is_sync()
    };
}

/// Holds nothing but its numbers.
fn plain() -> impl Generator<Yield = u8> {
    generator(async |y: &mut Yielder<u8>| _ = y.yield_(1).await)
}

fn borrowing(text: &str) -> impl Generator<Yield = &str> {
    generator(async move |y: &mut Yielder<&str>| _ = y.yield_(text).await)
}

fn keeping<T: Copy + 'static>(cell: Cell<T>) -> impl Generator<Yield = T> {
    try_generator(async move |y: &mut TryYielder<T>| {
        y.try_yield(cell.get()).await?;
        y.try_yield(cell.get()).await?;
        Ok(())
    })
}

fn delegating() -> impl Generator<Yield = u8> {
    generator(async |y: &mut Yielder<u8>| {
        y.yield_from(boxed(generator(async |y: &mut Yielder<u8>| _ = y.yield_(1).await))).await
    })
}

fn capturing(rc: Rc<u8>) -> impl Generator<Yield = u8> {
    generator(async move |y: &mut Yielder<u8>| _ = y.yield_(*rc).await)
}

fn holding() -> impl Generator<Yield = u8> {
    generator(async |y: &mut Yielder<u8>| {
        let rc = Rc::new(1);
        y.yield_(1).await;
        drop(rc);
    })
}

fn dropping() -> impl Generator<Yield = u8> {
    generator(async |y: &mut Yielder<u8>| {
        let n = *Rc::new(1);
        y.yield_(n).await;
    })
}

fn yielding() -> impl Generator<Yield = Rc<u8>> {
    generator(async |y: &mut Yielder<Rc<u8>>| _ = y.yield_(Rc::new(1)).await)
}

fn receiving() -> impl Generator<Send = Rc<u8>> {
    generator(async |y: &mut Yielder<u8, Rc<u8>>| _ = y.yield_(1).await)
}

fn staying() -> impl Generator<Yield = u8> {
    local::generator(async |y: &mut local::Yielder<u8>| _ = y.yield_(1).await)
}

#[test]
fn a_generator_is_send_if_all_that_it_holds_is() {
    assert!(is_send!(plain()));
    assert!(is_send!(borrowing("text")));
    assert!(is_send!(keeping(Cell::new(1))));
    assert!(is_send!(delegating()));
    assert!(is_send!(dropping()), "what is gone before the yield does not count");
    assert!(!is_send!(capturing(Rc::new(1))));
    assert!(!is_send!(holding()));
}

#[test]
fn it_is_not_if_a_value_that_passes_through_is_not() {
    // A yield can be polled on another thread, by a scoped one that is given the waker.
    assert!(!is_send!(yielding()));
    assert!(!is_send!(receiving()));
}

#[test]
fn a_local_generator_is_never_send() {
    assert!(!is_send!(staying()));
    assert!(!is_send!(local::boxed(plain())));
}

#[test]
fn a_box_is_send_and_nothing_is_sync() {
    let g: BoxGenerator<'_, u8> = boxed(generator(async |y: &mut Yielder<u8>| _ = y.yield_(1).await));
    assert!(is_send!(g) && !is_sync!(g));
    assert!(!is_sync!(plain()));
    assert!(is_send!(Error::exit()) && is_sync!(Error::exit()));
    assert!(!is_send!(SendError::new(Error::exit(), Some(Rc::new(1)))));
}

#[test]
fn a_generator_may_change_threads_between_resumes() -> Test {
    let mut g = generator(async |y: &mut Yielder<thread::ThreadId>| {
        let kept = [1, 2, 3];
        for _ in kept {
            y.yield_(thread::current().id()).await;
        }
        kept.len()
    });
    for _ in 0..3 {
        let (ran, expected);
        (g, ran, expected) = thread::spawn(move || {
            let step = g.resume();
            (g, step, thread::current().id())
        })
        .join()
        .expect("no panic");
        assert_eq!(ran?, Step::Yielded(expected));
    }
    assert_eq!(g.resume()?, Step::Returned(3));
    Ok(())
}

#[test]
fn a_generator_that_delegates_takes_its_delegates_along() -> Test {
    fn tower(height: u32) -> BoxGenerator<'static, u32, u32, u32> {
        boxed(generator(async move |y: &mut Yielder<u32, u32>| match height {
            0 => y.yield_(0).await.unwrap_or_default(),
            _ => y.yield_from(tower(height - 1)).await + 1,
        }))
    }
    let mut g = tower(20);
    assert_eq!(g.resume()?, Step::Yielded(0));
    let (mut g, step) = thread::spawn(move || {
        let step = g.send(100);
        (g, step)
    })
    .join()
    .expect("no panic");
    assert_eq!(step?, Step::Returned(120));
    assert_eq!(g.close()?, None);
    let mut g = tower(20);
    g.resume()?;
    thread::spawn(move || drop(g)).join().expect("no panic");
    Ok(())
}

#[test]
fn generators_are_made_on_many_threads_at_once() {
    // Each has a number that no other has; a yielder that met another's exchange would panic or worse.
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for thread in 0..4 {
            let sender = sender.clone();
            scope.spawn(move || {
                for n in 0..if cfg!(miri) { 10 } else { 1000 } {
                    let inner = generator(async move |y: &mut Yielder<u32>| y.yield_iter(0..n % 7).await);
                    let g = boxed(generator(async move |y| y.yield_from(inner).await));
                    sender.send((thread + n, g)).expect("it is received");
                }
            });
        }
        drop(sender);
        for (_, g) in receiver {
            assert!(g.count() < 7);
        }
    });
}

#[test]
fn a_yield_may_be_polled_by_a_scoped_thread() -> Test {
    // Contrived: what passes through may be sent, so it may.
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Context;
    let mut g = generator(async |y: &mut Yielder<u32, u32>| {
        let mut wait = pin!(y.yield_(1));
        poll_fn(|context| {
            let (waker, wait) = (context.waker(), wait.as_mut());
            let polled = thread::scope(|scope| scope.spawn(|| wait.poll(&mut Context::from_waker(waker))).join());
            polled.expect("no panic")
        })
        .await
    });
    assert_eq!(g.resume()?, Step::Yielded(1));
    assert_eq!(g.send(7)?, Step::Returned(Some(7)));
    assert_eq!(g.state(), State::Finished);
    Ok(())
}

#[test]
fn a_local_generator_may_delegate_to_what_stays_on_its_thread() -> Test {
    let shared = Rc::new(Cell::new(0));
    let mut g = local::generator(async |y: &mut local::Yielder<u32, Rc<u32>>| {
        let shared = &shared;
        let inner = local::generator(async move |y: &mut local::Yielder<u32, Rc<u32>>| {
            while let Some(sent) = y.yield_(shared.get()).await {
                shared.set(shared.get() + *sent);
            }
        });
        y.yield_from(inner).await;
        shared.get()
    });
    assert_eq!(g.resume()?, Step::Yielded(0));
    assert_eq!(g.send(Rc::new(5))?, Step::Yielded(5));
    assert_eq!(g.resume()?, Step::Returned(5));
    Ok(())
}
