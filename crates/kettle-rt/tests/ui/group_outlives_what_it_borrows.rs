//! E0373: a task of a group that borrows a variable of the closure, which goes before the group ends.
use kettle_rt::{EventLoop, task_group};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let _ = task_group(|group| {
            let local = 1;
            group.spawn(|| Ok::<_, String>(println!("{local}")));
            Ok(())
        });
    });
}
