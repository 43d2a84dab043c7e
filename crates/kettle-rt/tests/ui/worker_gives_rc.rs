//! E0277: a result for another worker that stays on its thread.
use kettle_rt::workers::workers;
use std::rc::Rc;

fn main() {
    let _ = workers(2).run(|worker| worker.spawn_anywhere(|| Rc::new(1)).is_finished());
}
