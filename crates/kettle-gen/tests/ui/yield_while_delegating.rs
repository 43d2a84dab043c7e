//! E0499: a body that delegates does not yield meanwhile.
use kettle_gen::{Yielder, generator};

fn main() {
    generator(async |y: &mut Yielder<u8>| {
        let delegation = y.yield_from(generator(async |_: &mut Yielder<u8>| ()));
        y.yield_(1).await;
        delegation.await;
    })
    .count();
}
