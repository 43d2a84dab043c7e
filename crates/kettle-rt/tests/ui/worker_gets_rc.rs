//! E0277: a function for another worker, with a value that stays on its thread.
use kettle_rt::workers::workers;
use std::rc::Rc;

fn main() {
    let _ = workers(2).run(|worker| {
        let text = Rc::new(1);
        worker.spawn_on(0, move || drop(text)).join().unwrap();
    });
}
