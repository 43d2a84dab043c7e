//! E0521: a worker that is kept beyond the run, and could spawn what borrows.
use kettle_rt::workers::workers;
use std::sync::Mutex;

fn main() {
    let kept = Mutex::new(None);
    let _ = workers(2).run(|worker| *kept.lock().unwrap() = Some(worker.clone()));
}
