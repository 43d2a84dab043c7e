//! E0597: what is spawned by a worker of which nobody knows how long it runs.
use kettle_rt::workers;

fn main() {
    let text = String::from("gone");
    let borrowed = &text;
    drop(workers::current().map(|worker| worker.spawn_anywhere(move || println!("{borrowed}"))));
}
