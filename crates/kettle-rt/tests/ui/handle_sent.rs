//! E0277: a handle that goes to another thread, and with it a result that may not.
use kettle_rt::{EventLoop, spawn};
use std::rc::Rc;

fn main() {
    EventLoop::new().unwrap().run(|| {
        let handle = spawn(|| Rc::new(1));
        std::thread::spawn(move || handle.join());
    });
}
