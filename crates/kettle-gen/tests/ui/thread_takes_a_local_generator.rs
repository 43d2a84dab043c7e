//! E0277: a local generator stays on its thread, whatever it holds.
use kettle_gen::local;

fn main() {
    let g = local::generator(async |y: &mut local::Yielder<u8>| _ = y.yield_(1).await);
    std::thread::spawn(move || g.count());
}
