//! E0373: a function that borrows from the task which has it called later.
use kettle_rt::{EventLoop, spawn};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let cups = vec![1, 2, 3];
        spawn(|| 0).on_done(|n| cups[n.unwrap()]);
    });
}
