//! What is forgotten or swapped stays sound: nothing of it is used again, and nothing else is lost with it.
//!
//! A program may forget anything at any time. Run under Miri or AddressSanitizer these tests say more than their asserts.

use kettle_gen::{BoxGenerator, Error, Generator, State, Step, Yielder, boxed, generator, local};
use std::future::{Future, pending, poll_fn};
use std::mem::{ManuallyDrop, forget, replace, swap, take};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

type Test = Result<(), Error>;

fn count(from: u32) -> impl Generator<Yield = u32, Send = (), Return = ()> + Send {
    generator(async move |y: &mut Yielder<u32>| {
        for n in from.. {
            y.yield_(n).await;
        }
    })
}

/// Delegates to a counting one.
fn delegating(from: u32) -> impl Generator<Yield = u32, Send = (), Return = ()> + Send {
    generator(async move |y| y.yield_from(count(from)).await)
}

#[test]
fn generators_can_be_swapped_in_every_state() -> Test {
    for resumes in [(0, 0), (0, 2), (2, 0), (1, 3)] {
        let (mut a, mut b) = (delegating(0), delegating(100));
        for _ in 0..resumes.0 {
            a.resume()?;
        }
        for _ in 0..resumes.1 {
            b.resume()?;
        }
        swap(&mut a, &mut b);
        assert_eq!(a.resume()?, Step::Yielded(100 + resumes.1));
        assert_eq!(b.resume()?, Step::Yielded(resumes.0));
        let c = replace(&mut a, delegating(50));
        swap(&mut a, &mut b);
        drop(c);
        assert_eq!(a.resume()?, Step::Yielded(resumes.0 + 1));
        assert_eq!(b.resume()?, Step::Yielded(50));
    }
    Ok(())
}

#[test]
fn generators_in_a_collection_can_be_sorted_and_rotated() -> Test {
    let mut all: Vec<_> = (0..10).map(|n| delegating(10 * n)).collect();
    for g in &mut all {
        g.resume()?;
    }
    all.reverse();
    all.rotate_left(3);
    all.truncate(9);
    let next: Result<Vec<_>, Error> = all.iter_mut().map(|g| Ok(g.resume()?.yielded())).collect();
    assert_eq!(next?, [61, 51, 41, 31, 21, 11, 1, 91, 81].map(Some));
    Ok(())
}

#[test]
fn a_generator_may_be_forgotten_in_every_state() -> Test {
    let alive = Rc::new(());
    for resumes in 0..3 {
        let text = vec![String::from("borrowed"); 3];
        let held = Rc::clone(&alive);
        let mut g = local::generator(async |y: &mut local::Yielder<usize>| {
            let _held = held;
            let text = &text;
            let inner = local::generator(async move |y: &mut local::Yielder<usize>| {
                for word in text {
                    y.yield_(word.len()).await;
                }
            });
            y.yield_from(inner).await;
        });
        for _ in 0..resumes {
            g.resume()?;
        }
        forget(g);
        drop(text);
    }
    assert_eq!(Rc::strong_count(&alive), 4, "what they held is leaked, and that is all");
    Ok(())
}

#[test]
fn a_box_may_be_forgotten_while_it_delegates() -> Test {
    let text = String::from("borrowed");
    let mut inner = boxed(generator(async |y: &mut Yielder<char>| y.yield_iter(text.chars()).await));
    inner.resume()?;
    let mut g = boxed(generator(async move |y| y.yield_from(inner).await));
    assert_eq!(g.resume()?, Step::Yielded('o'));
    forget(g);
    drop(text);
    Ok(())
}

#[test]
fn a_delegation_forgotten_in_the_body_keeps_its_delegate_alive() -> Test {
    let text = String::from("borrowed");
    let mut g = generator(async |y: &mut Yielder<char>| {
        let text = &text;
        let inner = generator(async move |y: &mut Yielder<char>| y.yield_iter(text.chars()).await);
        let mut wait = ManuallyDrop::new(y.yield_from(inner));
        poll_fn(|context| Poll::Ready(Pin::new(&mut *wait).poll(context).is_pending())).await;
        pending::<()>().await;
    });
    assert_eq!(g.iter().take(8).collect::<String>(), "borrowed");
    assert!(g.resume().is_err_and(|error| error.is_waiting()));
    drop(g);
    drop(text);
    Ok(())
}

#[test]
fn a_delegation_leaked_in_a_box_keeps_its_delegate_alive() -> Test {
    let text = String::from("borrowed");
    let mut g = generator(async |y: &mut Yielder<char>| {
        let text = &text;
        {
            let inner = generator(async move |y: &mut Yielder<char>| y.yield_iter(text.chars()).await);
            let mut wait = Box::pin(y.yield_from(inner));
            poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_pending())).await;
            forget(wait);
        }
        pending::<()>().await;
    });
    assert_eq!(g.resume()?, Step::Yielded('b'));
    assert_eq!(g.resume()?, Step::Yielded('o'));
    drop(g);
    drop(text);
    Ok(())
}

#[test]
fn a_delegation_leaked_before_its_first_poll_never_runs() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        forget(y.yield_from(count(5)));
        y.yield_(1).await;
    });
    assert_eq!(g.iter().collect::<Vec<_>>(), [1]);
    Ok(())
}

#[test]
fn a_forgotten_yield_hands_out_its_value() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32, u32>| {
        let mut wait = ManuallyDrop::new(y.yield_(1));
        poll_fn(|context| Poll::Ready(Pin::new(&mut *wait).poll(context).is_pending())).await;
        y.yield_(2).await
    });
    assert_eq!(g.resume()?, Step::Yielded(2), "the later one takes its place");
    assert_eq!(g.send(7)?, Step::Returned(Some(7)));
    Ok(())
}

#[test]
fn a_cycle_of_a_generator_with_itself_leaks_and_nothing_more() -> Test {
    use std::cell::RefCell;
    type Own = Rc<RefCell<Option<local::BoxGenerator<'static, u32>>>>;
    let own = Own::default();
    let inside = Rc::clone(&own);
    *own.borrow_mut() = Some(local::boxed(local::generator(async move |y: &mut local::Yielder<u32>| {
        let _inside = inside;
        y.yield_iter(0..3).await;
    })));
    assert_eq!(own.borrow_mut().as_mut().map(Generator::resume).transpose()?, Some(Step::Yielded(0)));
    assert_eq!(Rc::strong_count(&own), 2);
    let taken = take(&mut *own.borrow_mut());
    drop(taken);
    assert_eq!(Rc::strong_count(&own), 1, "taking it out of the cycle ends it");
    Ok(())
}

#[test]
fn a_body_can_not_replace_its_own_generator_while_it_runs() -> Test {
    use std::cell::RefCell;
    let slot: Rc<RefCell<Option<local::BoxGenerator<'static, bool>>>> = Rc::default();
    let own = Rc::clone(&slot);
    let inner = local::generator(async move |y: &mut local::Yielder<bool>| {
        // It is borrowed by whoever resumes it, so there is no way to it.
        y.yield_(own.try_borrow_mut().is_err()).await;
    });
    *slot.borrow_mut() = Some(local::boxed(local::generator(async move |y| y.yield_from(inner).await)));
    let step = slot.borrow_mut().as_mut().map(Generator::resume).transpose()?;
    assert_eq!(step, Some(Step::Yielded(true)));
    slot.replace(None);
    Ok(())
}

#[test]
fn a_generator_may_own_the_one_that_made_it() -> Test {
    let mut first: BoxGenerator<'_, u32> = boxed(count(0));
    first.resume()?;
    for _ in 0..5 {
        let inner = first;
        let mut outer = boxed(generator(async move |y| y.yield_from(inner).await));
        outer.resume()?;
        first = outer;
    }
    assert_eq!(first.resume()?, Step::Yielded(6));
    assert_eq!(first.state(), State::Suspended);
    Ok(())
}
