//! E0382: a delegate belongs to the delegation.
use kettle_gen::{Yielder, generator};

fn main() {
    let inner = generator(async |y: &mut Yielder<u8>| _ = y.yield_(1).await);
    generator(async move |y| {
        y.yield_from(inner).await;
        drop(inner);
    })
    .count();
}
