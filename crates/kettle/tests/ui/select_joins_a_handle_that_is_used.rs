//! E0505: joining a task while an arm waits for its end.
use kettle::sync::select;
use kettle::thread;

fn main() {
    kettle::run(|| {
        let mut task = thread::spawn(|| ());
        let mut arm = select::join(&mut task);
        task.join().unwrap();
        let mut select = select::Select::new();
        select.add(&mut arm);
        select.wait();
    });
}
