//! E0499: a body yields one value at a time.
use kettle_gen::{Yielder, generator};

async fn both<A: Future, B: Future>(a: A, b: B) {
    a.await;
    b.await;
}

fn main() {
    generator(async |y: &mut Yielder<u8>| both(y.yield_(1), y.yield_(2)).await).count();
}
