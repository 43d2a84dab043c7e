//! E0597: a task that borrows, spawned by what may outlive the group.
use kettle_rt::{EventLoop, task_group};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let local = 1;
        let _ = task_group(|group| {
            let _ = group.spawner().spawn(|| Ok::<_, String>(println!("{local}")));
            Ok(())
        });
    });
}
