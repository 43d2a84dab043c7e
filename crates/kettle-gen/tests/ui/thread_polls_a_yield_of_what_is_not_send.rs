//! E0277: a scoped thread that is given the waker can't take a value that may not be sent.
use kettle_gen::{Generator, Yielder, generator};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Context;

fn main() {
    let mut g = generator(async |y: &mut Yielder<u8, Rc<u8>>| {
        let mut wait = pin!(y.yield_(1));
        poll_fn(|context| {
            let (waker, wait) = (context.waker(), wait.as_mut());
            std::thread::scope(|scope| {
                drop(scope.spawn(move || wait.poll(&mut Context::from_waker(waker)).is_ready()))
            });
            std::task::Poll::Ready(())
        })
        .await;
    });
    drop(g.resume());
}
