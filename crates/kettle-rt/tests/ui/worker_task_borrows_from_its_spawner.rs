//! E0597: a task that may run longer than the function that it borrows from.
use kettle_rt::workers::workers;

fn main() {
    let _ = workers(2).run(|worker| {
        let text = String::from("gone");
        let borrowed = &text;
        drop(worker.spawn_anywhere(move || println!("{borrowed}")));
    });
}
