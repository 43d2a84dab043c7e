//! A yield reaches its own generator and no other: yielders in the wrong body, foreign executors.
//!
//! Whatever safe code does with a yield, it works, it panics, or it waits for ever; it never meets another's values.

use futures::future::{join, join3, select};
use futures::stream::FuturesUnordered;
use kettle_gen::local::{self, BoxGenerator};
use kettle_gen::{Error, Generator, SendError, State, Step, TryYielder, Yielder, generator, try_generator};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

type Test = Result<(), Error>;

/// The message of the panic that a piece of code ends with.
fn panic_of<T>(code: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(code)).map(drop).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast::<&str>().map(|message| message.to_string()).expect("a message"),
    }
}

#[test]
fn an_outer_yielder_in_an_inner_body_panics() {
    let message = panic_of(|| {
        generator(async |outer: &mut Yielder<u32>| {
            let inner = generator(async |_: &mut Yielder<u32>| {
                outer.yield_(1).await;
            });
            inner.for_each(drop);
        })
        .resume()
    });
    assert!(message.starts_with("yield polled inside another generator"), "{message}");
}

#[test]
fn an_outer_yielder_of_other_types_panics_as_well() {
    let message = panic_of(|| {
        try_generator(async |outer: &mut TryYielder<String, Vec<u8>>| {
            let mut inner = generator(async |_: &mut Yielder<[usize; 8]>| outer.try_yield("text".into()).await.is_ok());
            Ok(inner.resume().map(drop)?)
        })
        .resume()
    });
    assert!(message.starts_with("yield polled inside another generator"), "{message}");
}

#[test]
fn every_word_is_checked() {
    type Outer<'y, 'g> = &'y mut TryYielder<'g, u32>;
    fn each<'y>(word: usize, outer: Outer<'y, '_>) -> BoxGenerator<'y, u8> {
        let numbers = || generator(async |y: &mut Yielder<u32>| y.yield_iter(0..3).await);
        match word {
            0 => local::boxed(generator(async move |_| _ = outer.yield_(1).await)),
            1 => local::boxed(generator(async move |_| _ = outer.try_yield(1).await)),
            2 => local::boxed(generator(async move |_| outer.yield_iter(0..1).await)),
            3 => local::boxed(generator(async move |_| _ = outer.try_yield_iter(0..1).await)),
            4 => local::boxed(generator(async move |_| outer.yield_from(numbers()).await)),
            _ => local::boxed(generator(async move |_| _ = outer.try_yield_from(numbers()).await)),
        }
    }
    for word in 0..6 {
        let message = panic_of(|| {
            try_generator(async |outer: &mut TryYielder<u32>| Ok(each(word, outer).resume().map(drop)?)).resume()
        });
        assert!(message.starts_with("yield polled inside another generator"), "{word}: {message}");
    }
}

#[test]
fn an_outer_yielder_in_a_delegate_panics() {
    // The delegate runs in the root's chain, where the outer body is suspended.
    let outer_in_inner = generator(async |y: &mut Yielder<u32>| {
        let inner = generator(async |inner: &mut Yielder<u32>| {
            inner.yield_(1).await;
            let mut nested = generator(async |_: &mut Yielder<u32>| _ = inner.yield_(2).await);
            drop(nested.resume());
        });
        y.yield_from(inner).await;
    });
    let mut g = outer_in_inner;
    assert_eq!(g.resume().ok(), Some(Step::Yielded(1)));
    assert!(panic_of(|| g.resume()).starts_with("yield polled inside another generator"));
    assert_eq!(g.state(), State::Finished);
}

#[test]
fn a_foreign_executor_panics() {
    let message = panic_of(|| {
        generator(async |y: &mut Yielder<u32>| {
            futures::executor::block_on(y.yield_(1));
        })
        .resume()
    });
    assert!(message.starts_with("yield polled by a foreign executor"), "{message}");
    let message = panic_of(|| {
        generator(async |y: &mut Yielder<u32>| {
            let _ = pin!(y.yield_(1)).poll(&mut Context::from_waker(Waker::noop()));
        })
        .resume()
    });
    assert!(message.starts_with("yield polled by a foreign executor"), "{message}");
}

#[test]
fn a_future_that_polls_with_its_own_waker_panics() {
    use futures::stream::StreamExt as _;
    let message = panic_of(|| {
        generator(async |y: &mut Yielder<u32>| {
            let mut all = FuturesUnordered::new();
            all.push(y.yield_(1));
            all.select_next_some().await;
        })
        .resume()
    });
    assert!(message.starts_with("yield polled by a foreign executor"), "{message}");
}

#[test]
fn a_yield_can_be_joined_with_other_futures() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32, u32>| {
        let (sent, five, ()) = join3(y.yield_(1), ready(5), ready(())).await;
        (sent, five)
    });
    assert_eq!(g.resume()?, Step::Yielded(1));
    assert_eq!(g.send(3)?, Step::Returned((Some(3), 5)));
    Ok(())
}

#[test]
fn a_delegation_can_be_joined_with_other_futures() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        let inner = generator(async |y: &mut Yielder<u32>| {
            y.yield_iter([1, 2]).await;
            "inner"
        });
        join(y.yield_from(inner), ready("beside")).await
    });
    assert_eq!(g.iter().take(2).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(g.resume()?, Step::Returned(("inner", "beside")));
    Ok(())
}

#[test]
fn a_body_that_awaits_a_future_which_is_not_ready_waits() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        y.yield_(1).await;
        pending::<()>().await;
    });
    assert_eq!(g.resume()?, Step::Yielded(1));
    for _ in 0..2 {
        assert!(g.resume().is_err_and(|error| error.is_waiting()));
        assert_eq!(g.state(), State::Suspended);
    }
    assert_eq!(g.close()?, None);
    Ok(())
}

#[test]
fn a_future_that_becomes_ready_lets_the_body_go_on() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        let mut polls = 0;
        poll_fn(|_| {
            polls += 1;
            if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        y.yield_(polls).await;
    });
    assert!(g.resume().is_err_and(|error| error.is_waiting()));
    assert!(g.resume().is_err_and(|error| error.is_waiting()));
    assert_eq!(g.resume()?, Step::Yielded(3));
    Ok(())
}

#[test]
fn the_outer_context_taken_into_an_inner_body_still_means_the_outer_generator() -> Test {
    // Contrived, and sound: the yield reaches its own exchange, whoever calls `poll`.
    let mut g = generator(async |outer: &mut Yielder<u32, String>| {
        let mut wait = pin!(outer.yield_(1));
        poll_fn(|context| {
            let waker = context.waker();
            let wait = wait.as_mut();
            let mut inner = generator(async move |_: &mut Yielder<(), u8>| {
                let mut wait = wait;
                wait.as_mut().poll(&mut Context::from_waker(waker))
            });
            match inner.resume() {
                Ok(Step::Returned(poll)) => poll,
                other => unreachable!("{other:?}"),
            }
        })
        .await
    });
    assert_eq!(g.resume()?, Step::Yielded(1));
    assert_eq!(g.send("sent".into())?, Step::Returned(Some("sent".into())));
    Ok(())
}

#[test]
fn a_delegation_polled_from_an_inner_body_by_the_outer_context_works() -> Test {
    let mut g = generator(async |outer: &mut Yielder<u32>| {
        let numbers = generator(async |y: &mut Yielder<u32>| y.yield_iter(0..3).await);
        let mut wait = pin!(outer.yield_from(numbers));
        poll_fn(|context| {
            let waker = context.waker();
            let wait = wait.as_mut();
            let inner = generator(async move |_: &mut Yielder<()>| {
                let mut wait = wait;
                wait.as_mut().poll(&mut Context::from_waker(waker))
            });
            match local::boxed(inner).resume() {
                Ok(Step::Returned(poll)) => poll,
                other => unreachable!("{other:?}"),
            }
        })
        .await
    });
    assert_eq!(g.iter().collect::<Vec<_>>(), [0, 1, 2]);
    Ok(())
}

#[test]
fn wakers_of_a_generator_that_nobody_polls_do_nothing_and_outlive_it() -> Test {
    let mut kept = Vec::new();
    let mut g = generator(async |y: &mut Yielder<u32>| {
        poll_fn(|context| {
            let waker = context.waker();
            waker.wake_by_ref();
            kept.push(waker.clone());
            kept.push(context.waker().clone().clone());
            assert!(kept[0].will_wake(&kept[1]));
            Poll::Ready(())
        })
        .await;
        y.yield_(1).await;
    });
    g.resume()?;
    drop(g);
    for waker in kept {
        waker.wake();
    }
    Ok(())
}

#[test]
fn a_yield_that_is_not_awaited_does_nothing() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        drop(y.yield_(1));
        drop(y.yield_from(generator(async |y: &mut Yielder<u32>| _ = y.yield_(2).await)));
        let _ = select(pin!(ready(())), pin!(y.yield_(3))).await;
        y.yield_(4).await;
    });
    assert_eq!(g.resume()?, Step::Yielded(4));
    assert_eq!(g.resume()?, Step::Returned(()));
    Ok(())
}

/// A generator that asks its own box where it stands, when it is asked that.
struct Introspective {
    shelf: Shelf,
    asking: Cell<bool>,
    plain: u32,
}

type Shelf = Rc<RefCell<Option<Rc<BoxGenerator<'static, u32>>>>>;

impl Generator for Introspective {
    type Yield = u32;
    type Send = ();
    type Return = ();

    fn resume(&mut self) -> Result<Step<u32, ()>, Error> {
        self.plain += 1;
        Ok(Step::Yielded(self.plain))
    }

    fn send(&mut self, (): ()) -> Result<Step<u32, ()>, SendError<()>> {
        self.resume().map_err(SendError::from)
    }

    fn throw(&mut self, error: Error) -> Result<Step<u32, ()>, Error> {
        Err(error)
    }

    fn close(&mut self) -> Result<Option<()>, Error> {
        Ok(None)
    }

    fn state(&self) -> State {
        if let Some(own) = &*self.shelf.borrow()
            && !self.asking.replace(true)
        {
            assert_eq!(own.state(), State::Suspended);
            self.asking.set(false);
        }
        // What is borrowed here is so still.
        if self.plain == 0 { State::Created } else { State::Suspended }
    }
}

#[test]
fn a_generator_in_a_box_may_ask_its_box_where_it_stands() -> Test {
    let shelf = Shelf::default();
    let mut own = local::boxed(Introspective { shelf: Rc::clone(&shelf), asking: Cell::new(false), plain: 0 });
    assert_eq!(own.resume()?, Step::Yielded(1));
    let own = Rc::new(own);
    *shelf.borrow_mut() = Some(Rc::clone(&own));
    assert_eq!(own.state(), State::Suspended);
    shelf.take();
    Ok(())
}
