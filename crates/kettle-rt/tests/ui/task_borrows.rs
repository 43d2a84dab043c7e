//! E0373: a task that borrows and belongs to no scope.
use kettle_rt::{EventLoop, spawn};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let text = String::from("borrowed");
        spawn(|| println!("{text}"));
    });
}
