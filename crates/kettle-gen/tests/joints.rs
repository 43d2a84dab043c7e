//! Where a delegate lives: two own it, in whatever order they let go, and what is in it goes with the delegator.

use kettle_gen::body::{Body, BodyStep};
use kettle_gen::{
    BoxGenerator, Error, Generator, Input, State, Step, TryYielder, Yielder, boxed, generator, local, try_generator,
};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

fn holding(kept: Arc<()>) -> BoxGenerator<'static, u8, (), Vec<usize>> {
    boxed(generator(async move |y: &mut Yielder<u8>| {
        let kept = kept;
        y.yield_(1).await;
        vec![Arc::strong_count(&kept)]
    }))
}

#[test]
fn dropping_the_delegator_empties_a_joint_that_a_chain_still_holds() {
    let kept = Arc::new(());
    let mut delegate = holding(Arc::clone(&kept)).into_delegate().into_inner();
    assert!(matches!(Pin::new(&mut delegate).step(Input::Next, None), BodyStep::Yielded(1)));
    // SAFETY: the delegate is dropped below, and there is one thread and one frame.
    let frame = unsafe { delegate.frame() };
    assert!(!frame.is_finalised());
    drop(delegate);
    assert!(frame.is_finalised());
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn dropping_the_frame_leaves_the_delegate_as_it_is() {
    let kept = Arc::new(());
    let mut delegate = holding(Arc::clone(&kept)).into_delegate().into_inner();
    // SAFETY: there is one thread and one frame.
    drop(unsafe { delegate.frame() });
    assert!(matches!(Pin::new(&mut delegate).step(Input::Next, None), BodyStep::Yielded(1)));
    let BodyStep::Returned(result) = Pin::new(&mut delegate).step(Input::Next, None) else { panic!("it went on") };
    assert_eq!(result, [2]);
    assert_eq!(delegate.take_result(), None, "a result is taken once");
    assert_eq!(Arc::strong_count(&kept), 1, "gone when it returned");
}

#[test]
fn a_result_that_nobody_wants_is_dropped() -> Result<(), Error> {
    let kept = Arc::new(());
    let result = Arc::clone(&kept);
    let inner = try_generator(async move |y: &mut TryYielder<u8>| {
        // It answers the exit by returning, which its delegator, being closed as well, does not see.
        Ok(y.try_yield(1).await.map_or(result, |_| unreachable!("it is closed")))
    });
    let mut outer = generator(async move |y: &mut Yielder<u8>| drop(y.yield_from(inner).await));
    assert_eq!(outer.next(), Some(1));
    assert_eq!(outer.close()?, None);
    assert_eq!(Arc::strong_count(&kept), 1);
    Ok(())
}

#[test]
fn values_and_results_lie_as_their_types_want() {
    #[repr(align(64))]
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Aligned(u8);

    let mut g = boxed(generator(async |y: &mut Yielder<Aligned, Aligned>| {
        let own = Aligned(7);
        let sent = y.yield_(own).await.unwrap_or(Aligned(0));
        assert_eq!(std::ptr::from_ref(&own).addr() % 64, 0);
        sent
    }));
    assert!(matches!(g.resume(), Ok(Step::Yielded(Aligned(7)))));
    assert!(matches!(g.send(Aligned(9)), Ok(Step::Returned(Aligned(9)))));
}

#[test]
fn a_box_that_was_not_started_refuses_a_value_and_takes_it_later() -> Result<(), Error> {
    let mut g = boxed(generator(async |y: &mut Yielder<u8, String>| y.yield_(1).await));
    let error = g.send("too early".into()).expect_err("it was not started");
    assert!(error.error().is_not_started());
    assert_eq!(error.into_value().as_deref(), Some("too early"));
    assert_eq!(g.state(), State::Created);
    assert_eq!(g.resume()?, Step::Yielded(1));
    assert_eq!(g.send("now".into())?, Step::Returned(Some("now".into())));
    assert!(g.send("too late".into()).is_err_and(|error| error.error().is_finished()));
    Ok(())
}

#[test]
fn a_shared_one_in_a_box_answers_for_what_it_is_now() -> Result<(), Error> {
    let shared = Rc::new(RefCell::new(local::generator(
        async |y: &mut local::Yielder<u8, u8>| {
            while y.yield_(1).await != Some(9) {}
        },
    )));
    let mut g = local::boxed(Rc::clone(&shared));
    assert_eq!(g.state(), State::Created);
    Rc::clone(&shared).resume()?;
    assert_eq!(g.state(), State::Suspended);
    assert_eq!(g.send(2)?, Step::Yielded(1), "it was started elsewhere");
    // While it runs elsewhere it can't be resumed, and later it can.
    let running = shared.borrow_mut();
    assert!(g.resume().is_err_and(|error| error.is_running()));
    drop(running);
    assert_eq!(g.resume()?, Step::Yielded(1));
    Rc::clone(&shared).send(9)?;
    assert_eq!(g.state(), State::Finished);
    assert!(g.resume().is_err_and(|error| error.is_finished()));
    Ok(())
}
