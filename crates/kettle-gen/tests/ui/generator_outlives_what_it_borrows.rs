//! E0597: a generator does not outlive what its body borrows.
use kettle_gen::{Yielder, generator};

fn main() {
    let mut g;
    {
        let text = String::from("short-lived");
        g = generator(async |y: &mut Yielder<&str>| _ = y.yield_(&text).await);
    }
    g.next();
}
