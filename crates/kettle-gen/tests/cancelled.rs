//! Yields that are polled by hand: dropped before they are ready, polled twice, polled after their end.

use kettle_gen::body::{Body, BodyStep};
use kettle_gen::{
    BoxGenerator, Error, Generator, Input, State, Step, TryYielder, Yielder, boxed, generator, try_generator,
};
use std::future::{Future, pending, poll_fn};
use std::mem::ManuallyDrop;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;

type Test = Result<(), Error>;

/// Polls a future once and goes on, whatever it answers.
async fn once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

fn numbers<S: Send + 'static>() -> BoxGenerator<'static, u32, S, &'static str> {
    boxed(generator(async |y: &mut Yielder<u32, S>| {
        y.yield_(10).await;
        y.yield_(11).await;
        "end"
    }))
}

#[test]
fn a_yield_takes_the_place_of_one_that_was_dropped() -> Test {
    let mut g = try_generator(async |y: &mut TryYielder<u32, u8>| {
        assert!(once(pin!(y.yield_(1))).await.is_pending());
        assert!(once(pin!(y.try_yield(2))).await.is_pending());
        Ok(y.yield_(3).await)
    });
    assert_eq!(g.resume()?, Step::Yielded(3));
    assert_eq!(g.send(7)?, Step::Returned(Some(7)));
    Ok(())
}

#[test]
fn a_yield_takes_the_place_of_a_delegation_that_was_dropped() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32, u8>| {
        assert!(once(pin!(y.yield_from(numbers()))).await.is_pending());
        assert!(once(Box::pin(y.yield_from(numbers())).as_mut()).await.is_pending());
        y.yield_(3).await
    });
    assert_eq!(g.resume()?, Step::Yielded(3));
    assert_eq!(g.send(7)?, Step::Returned(Some(7)));
    Ok(())
}

#[test]
fn a_delegation_takes_the_place_of_a_yield_that_was_dropped() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        assert!(once(pin!(y.yield_(1))).await.is_pending());
        y.yield_from(numbers()).await
    });
    assert_eq!(g.iter().collect::<Vec<_>>(), [10, 11]);
    Ok(())
}

#[test]
fn a_delegation_takes_the_place_of_another_that_was_dropped() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        assert!(once(pin!(y.yield_from(numbers()))).await.is_pending());
        y.yield_from(numbers()).await
    });
    assert_eq!(g.iter().by_ref().take(2).collect::<Vec<_>>(), [10, 11]);
    assert_eq!(g.resume()?, Step::Returned("end"));
    Ok(())
}

/// Sends a value over an iterator and gives the iterator up before its error has ended the body.
async fn refuse(y: &mut Yielder<'_, u32, Arc<()>>) {
    let mut iterating = pin!(y.yield_iter(0..3));
    let mut polls = 0;
    poll_fn(|context| {
        assert!(iterating.as_mut().poll(context).is_pending());
        polls += 1;
        if polls == 1 { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

#[test]
fn each_word_takes_the_place_of_an_error_that_was_dropped() -> Test {
    let sent = Arc::new(());
    let delegating = generator(async |y: &mut Yielder<u32, Arc<()>>| {
        refuse(y).await;
        y.yield_from(numbers()).await
    });
    let yielding = generator(async |y: &mut Yielder<u32, Arc<()>>| {
        refuse(y).await;
        y.yield_(10).await;
        y.yield_(11).await;
        "end"
    });
    let mut each: [BoxGenerator<'_, u32, Arc<()>, &str>; 2] = [boxed(delegating), boxed(yielding)];
    for g in &mut each {
        assert_eq!(g.resume()?, Step::Yielded(0));
        assert_eq!(g.send(Arc::clone(&sent))?, Step::Yielded(10));
        assert_eq!(Arc::strong_count(&sent), 1, "the value has gone with the error");
        assert_eq!(g.resume()?, Step::Yielded(11));
        assert_eq!(g.resume()?, Step::Returned("end"));
    }
    Ok(())
}

#[test]
fn a_delegation_dropped_after_an_error_leaves_nothing_to_wait_for() -> Test {
    let sent = Arc::new(());
    let mut g = generator(async |y: &mut Yielder<u32, Arc<()>>| {
        refuse(y).await;
        assert!(once(pin!(y.yield_from(numbers()))).await.is_pending());
        pending::<()>().await;
    });
    g.resume()?;
    assert!(g.send(Arc::clone(&sent)).is_err_and(|error| error.error().is_waiting()));
    assert_eq!(Arc::strong_count(&sent), 1);
    Ok(())
}

#[test]
fn an_error_goes_out_although_its_word_was_dropped() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32, Arc<()>>| {
        refuse(y).await;
        pending::<()>().await;
    });
    g.resume()?;
    let (error, value) = g.send(Arc::default()).expect_err("an iterator takes nothing").into_parts();
    assert!(error.is_no_send() && value.is_some(), "{error}");
    assert_eq!(g.state(), State::Finished);
    Ok(())
}

#[test]
fn a_delegation_that_was_dropped_leaves_nothing_to_wait_for() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        assert!(once(pin!(y.yield_from(numbers()))).await.is_pending());
        pending::<()>().await;
    });
    assert!(g.resume().is_err_and(|error| error.is_waiting()));
    Ok(())
}

#[test]
fn a_dropped_delegation_closes_a_delegate_that_has_run() -> Test {
    let closed = AtomicBool::new(false);
    let mut g = generator(async |y: &mut Yielder<u32>| {
        let closed = &closed;
        let mut inner = try_generator(async move |y: &mut TryYielder<u32>| {
            closed.store(y.try_yield(1).await.is_err(), Relaxed);
            Ok(())
        });
        inner.resume().expect("starts");
        assert!(once(pin!(y.yield_from(inner))).await.is_pending());
        assert!(closed.load(Relaxed));
        y.yield_(2).await;
    });
    assert_eq!(g.resume()?, Step::Yielded(2));
    Ok(())
}

#[test]
fn a_yield_polled_again_before_the_pause_is_not_ready() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32, u8>| {
        let mut wait = pin!(y.yield_(1));
        for _ in 0..3 {
            assert!(once(wait.as_mut()).await.is_pending());
        }
        wait.await
    });
    assert_eq!(g.resume()?, Step::Yielded(1));
    assert_eq!(g.send(7)?, Step::Returned(Some(7)));
    Ok(())
}

#[test]
fn a_delegation_polled_again_before_the_pause_is_not_ready() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        let mut wait = pin!(y.yield_from(numbers()));
        for _ in 0..3 {
            assert!(once(wait.as_mut()).await.is_pending());
        }
        wait.await
    });
    assert_eq!(g.iter().take(2).collect::<Vec<_>>(), [10, 11]);
    assert_eq!(g.resume()?, Step::Returned("end"));
    Ok(())
}

#[test]
fn a_yield_polled_after_its_end_has_no_second_value() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32, u8>| {
        let mut wait = pin!(y.yield_(1));
        let first = poll_fn(|context| wait.as_mut().poll(context)).await;
        let second = once(wait.as_mut()).await;
        (first, second)
    });
    assert_eq!(g.resume()?, Step::Yielded(1));
    assert_eq!(g.send(7)?, Step::Returned((Some(7), Poll::Pending)));
    Ok(())
}

#[test]
#[should_panic(expected = "a future is not polled after it was ready")]
fn a_delegation_polled_after_its_end_panics() {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        let mut wait = pin!(y.yield_from(generator(async |_: &mut Yielder<u32>| ())));
        poll_fn(|context| wait.as_mut().poll(context)).await;
        once(wait.as_mut()).await.is_ready()
    });
    drop(g.resume());
}

#[test]
fn a_body_may_end_while_a_yield_is_on_its_way() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        let _ = once(pin!(y.yield_(1))).await;
        let mut wait = pin!(y.yield_from(numbers()));
        let _ = once(wait.as_mut()).await;
        "result"
    });
    assert_eq!(g.resume()?, Step::Returned("result"));
    Ok(())
}

#[test]
fn a_body_may_forget_a_delegation_and_then_waits_for_it_nevertheless() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        let mut wait = ManuallyDrop::new(y.yield_from(numbers()));
        assert!(once(Pin::new(&mut *wait)).await.is_pending());
        pending::<()>().await;
    });
    assert_eq!(g.iter().take(2).collect::<Vec<_>>(), [10, 11]);
    assert!(g.resume().is_err_and(|error| error.is_waiting()), "the delegate has ended, and the body waits");
    Ok(())
}

#[test]
fn a_body_may_forget_a_delegation_and_yield() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        let mut wait = ManuallyDrop::new(y.yield_from(numbers()));
        assert!(once(Pin::new(&mut *wait)).await.is_pending());
        y.yield_(1).await;
    });
    assert_eq!(g.resume()?, Step::Yielded(1));
    assert_eq!(g.resume()?, Step::Returned(()));
    Ok(())
}

#[test]
fn a_delegation_may_move_between_polls() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        let mut wait = Some(y.yield_from(numbers()));
        poll_fn(move |context| {
            // Each poll finds it in another box.
            let mut moved = Box::new(wait.take().expect("put back below"));
            let poll = Pin::new(&mut *moved).poll(context);
            wait = Some(*moved);
            poll
        })
        .await
    });
    assert_eq!(g.iter().take(2).collect::<Vec<_>>(), [10, 11]);
    assert_eq!(g.resume()?, Step::Returned("end"));
    Ok(())
}

#[test]
fn a_value_that_no_yield_took_comes_back() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32, String>| {
        y.yield_(1).await;
        pending::<()>().await;
    });
    g.resume()?;
    assert!(g.resume().is_err_and(|error| error.is_waiting()));
    let (error, value) = g.send("mine".into()).expect_err("it waits").into_parts();
    assert!(error.is_waiting(), "{error}");
    assert_eq!(value.as_deref(), Some("mine"));
    Ok(())
}

#[test]
fn try_iter_ends_after_an_error_that_does_not_end_the_generator() {
    let mut g = generator(async |_: &mut Yielder<u32>| pending::<()>().await);
    assert_eq!(g.try_iter().take(9).count(), 1, "it waits");
}

#[test]
fn an_error_thrown_at_a_delegate_that_waits_reaches_the_delegator() -> Test {
    let waits = || {
        generator(async |y: &mut Yielder<u32>| {
            y.yield_(1).await;
            pending::<()>().await;
        })
    };
    for in_a_box in [false, true] {
        let mut g = try_generator(async |y: &mut TryYielder<u32>| {
            let wait = y.try_yield_from(waits());
            let result = if in_a_box { Box::pin(wait).await } else { wait.await };
            Ok(result.map_err(|error| error.to_string()))
        });
        g.resume()?;
        assert!(g.resume().is_err_and(|error| error.is_waiting()));
        assert_eq!(g.throw(Error::new("rain"))?, Step::Returned(Err("rain".into())), "in a box: {in_a_box}");
    }
    Ok(())
}

#[test]
fn an_exit_passed_on_from_an_iterator_by_a_question_mark_is_still_an_exit() -> Test {
    let mut g = try_generator(async |y: &mut TryYielder<u32>| {
        y.try_yield_iter(0..3).await?;
        Ok(())
    });
    g.resume()?;
    assert_eq!(g.close()?, None);
    Ok(())
}

#[test]
fn an_error_thrown_where_nobody_waits_any_more_comes_back() {
    let inner = || generator(async |y: &mut Yielder<i32>| y.yield_iter(0..3).await);
    let mut g = try_generator(async |y: &mut TryYielder<i32>| {
        {
            let given_up = pin!(y.try_yield_from(inner()));
            assert!(once(given_up).await.is_pending());
        }
        pending::<()>().await;
        Ok(())
    });
    assert!(g.resume().is_err_and(|error| error.is_waiting()));
    assert!(g.throw(Error::new("not lost")).is_err_and(|error| error.to_string() == "not lost"));
    assert_eq!(g.state(), State::Finished);
}

#[test]
fn a_delegate_that_was_finished_refuses_to_be_stepped() {
    let g = generator(async |y: &mut Yielder<String>| {
        let text = String::from("dropped by then");
        y.yield_(text.clone()).await;
        y.yield_(text).await;
    });
    let mut delegate = g.into_delegate().into_inner();
    let mut delegate = Pin::new(&mut delegate);
    assert!(matches!(delegate.as_mut().step(Input::Next, None), BodyStep::Yielded(_)));
    delegate.as_mut().finish();
    let BodyStep::Raised(error, _) = delegate.step(Input::Next, None) else { panic!("a finished one went on") };
    assert!(error.is_finished());
}
