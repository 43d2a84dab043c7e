//! E0521: a yielder can't leave its body for a thread.
use kettle_gen::{Yielder, generator};

fn main() {
    let mut g = generator(async |y: &mut Yielder<u8>| {
        std::thread::spawn(move || drop(y.yield_(1)));
    });
    g.next();
}
