//! E0277: so does a local box.
use kettle_gen::{Yielder, generator, local};

fn main() {
    let g = local::boxed(generator(async |y: &mut Yielder<u8>| _ = y.yield_(1).await));
    std::thread::spawn(move || g.count());
}
