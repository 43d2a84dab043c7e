//! E0277: a scope that another thread spawns into.
use kettle_rt::{EventLoop, scope};

fn main() {
    EventLoop::new().unwrap().run(|| {
        scope(|s| {
            std::thread::scope(|threads| {
                threads.spawn(|| s.spawn(|| 1));
            });
        });
    });
}
