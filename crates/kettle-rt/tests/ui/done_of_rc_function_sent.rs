//! E0277: the same as a function.
use kettle_rt::{EventLoop, callback};
use std::rc::Rc;

fn register(on_done: impl FnOnce(Rc<u32>) + Send + 'static) {
    std::thread::spawn(move || on_done(Rc::new(1)));
}

fn main() {
    EventLoop::new().unwrap().run(|| {
        assert_eq!(callback(|done| register(done.into_fn())), Ok(Rc::new(1)));
    });
}
