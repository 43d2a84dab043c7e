//! E0277: a callback that is called on another thread, with what may not go there.
use kettle_rt::{EventLoop, callback};
use std::rc::Rc;

fn main() {
    EventLoop::new().unwrap().run(|| {
        let value = callback(|done| std::thread::spawn(move || done.call(Rc::new(1))));
        assert_eq!(value, Ok(Rc::new(1)));
    });
}
