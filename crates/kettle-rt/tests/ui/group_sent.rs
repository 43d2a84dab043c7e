//! E0277: a group that another thread spawns into.
use kettle_rt::{EventLoop, task_group};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let _ = task_group(|group| {
            std::thread::scope(|threads| {
                threads.spawn(|| group.spawn(|| Ok::<_, String>(1)));
            });
            Ok(())
        });
    });
}
